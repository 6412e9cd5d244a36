// SPDX-License-Identifier: Apache-2.0
//
// From a name to a number: open addressing, looked up by string_view. The names themselves stay
// with the owner, who hands over a function from number to name. Thousands of node names come with
// every decision, so a lookup must cost a few nanoseconds and no allocation.

#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace hami::placement {

// Eight bytes at a time; good enough to spread names, no protection against somebody who wants
// collisions.
inline uint64_t HashName(std::string_view name) {
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15U;
  const char* at = name.data();
  size_t left = name.size();
  uint64_t hash = left * kMultiplier;
  while (left >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 32;
    at += 8;
    left -= 8;
  }
  if (left > 0) {
    uint64_t word = 0;
    std::memcpy(&word, at, left);
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 32;
  }
  hash *= kMultiplier;
  return hash ^ (hash >> 29);
}

class NameIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  NameIndex() : cells_(kSmallest) {}

  size_t size() const { return used_; }

  template <typename NameOf>
  uint32_t Find(std::string_view name, const NameOf& name_of) const {
    const uint64_t hash = HashName(name);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (size_t at = hash & Mask();; at = (at + 1) & Mask()) {
      const Cell& cell = cells_[at];
      if (cell.number == kNone) return kNone;
      if (cell.tag == tag && name_of(cell.number) == name) return cell.number;
    }
  }

  // The name must not be there yet.
  void Insert(std::string_view name, uint32_t number) {
    if ((used_ + 1) * 2 > cells_.size()) Grow();
    const uint64_t hash = HashName(name);
    Place({static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32), number});
    ++used_;
  }

  // Does nothing where the number is not under that name.
  void Erase(std::string_view name, uint32_t number) {
    size_t at = HashName(name) & Mask();
    while (cells_[at].number != number) {
      if (cells_[at].number == kNone) return;
      at = (at + 1) & Mask();
    }
    // What follows moves up, so that no lookup ends at the gap.
    for (size_t next = (at + 1) & Mask(); cells_[next].number != kNone;
         next = (next + 1) & Mask()) {
      const size_t home = cells_[next].low & Mask();
      if (((next - home) & Mask()) >= ((next - at) & Mask())) {
        cells_[at] = cells_[next];
        at = next;
      }
    }
    cells_[at] = {};
    --used_;
  }

 private:
  static constexpr size_t kSmallest = 16;

  struct Cell {
    uint32_t low = 0;  // of the hash: where the name belongs
    uint32_t tag = 0;  // high half
    uint32_t number = kNone;
  };

  size_t Mask() const { return cells_.size() - 1; }

  void Place(const Cell& cell) {
    size_t at = cell.low & Mask();
    while (cells_[at].number != kNone) at = (at + 1) & Mask();
    cells_[at] = cell;
  }

  void Grow() {
    std::vector<Cell> old(cells_.size() * 2);
    old.swap(cells_);
    for (const Cell& cell : old) {
      if (cell.number != kNone) Place(cell);
    }
  }

  std::vector<Cell> cells_;
  size_t used_ = 0;
};

}  // namespace hami::placement
