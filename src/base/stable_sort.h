// SPDX-License-Identifier: Apache-2.0
//
// Sorting by a key; items of equal keys keep their order. In place of std::ranges::stable_sort,
// which in libstdc++ 12 calls the deprecated std::get_temporary_buffer: clang reports that as an
// error of whoever sorts types of his own.

#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

namespace hami::base {

// Smallest key first. Each key is asked for once, and may refer to its item.
template <typename T, typename KeyOf>
void StableSortBy(std::vector<T>* items, KeyOf key_of) {
  std::vector<std::invoke_result_t<KeyOf, const T&>> keys;
  keys.reserve(items->size());
  for (const T& item : *items) keys.push_back(std::invoke(key_of, item));
  std::vector<size_t> order(items->size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) {
    if (keys[a] < keys[b]) return true;
    return a < b && !(keys[b] < keys[a]);
  });
  std::vector<T> sorted;
  sorted.reserve(items->size());
  for (const size_t index : order) sorted.push_back(std::move((*items)[index]));
  *items = std::move(sorted);
}

}  // namespace hami::base
