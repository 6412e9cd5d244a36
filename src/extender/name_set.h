// SPDX-License-Identifier: Apache-2.0
//
// Which of the names of one call came before: open addressing over names that lie elsewhere, with
// memory that is kept from one call to the next. Thousands come with every decision; a set of nodes
// on the heap was half of its cost. One thread at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hami::extender {

class NameSet {
 public:
  // Forgets all; there will be up to `most` names.
  void Begin(size_t most);

  // False: it was there. Refers to the name until the next Begin.
  bool Insert(std::string_view name);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Cell {
    uint32_t tag = 0;  // of the hash
    uint32_t number = kNone;
  };

  std::vector<Cell> cells_;  // of which mask_ + 1 are used
  std::vector<std::string_view> names_;
  size_t mask_ = 0;
};

}  // namespace hami::extender
