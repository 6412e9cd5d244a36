// SPDX-License-Identifier: Apache-2.0

#include "explain/similar_names.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/stable_sort.h"

namespace hami::explain {
namespace {

constexpr size_t kMost = 8;

// Letters to insert, remove or change.
size_t Distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// A part of the other name is as near as one letter: generated names begin with the pod's.
size_t Strangeness(const std::string& wanted, const std::string& name) {
  if (name.find(wanted) != std::string::npos || wanted.find(name) != std::string::npos) return 1;
  return Distance(wanted, name);
}

}  // namespace

std::vector<std::string> SimilarNames(const std::string& wanted, std::vector<std::string> names) {
  std::ranges::sort(names);
  base::StableSortBy(&names, [&](const std::string& name) { return Strangeness(wanted, name); });
  if (names.size() <= kMost) return names;
  const size_t limit = std::max<size_t>(3, wanted.size() / 2);
  std::erase_if(names, [&](const std::string& name) { return Strangeness(wanted, name) > limit; });
  if (names.size() > kMost) names.resize(kMost);
  return names;
}

}  // namespace hami::explain
