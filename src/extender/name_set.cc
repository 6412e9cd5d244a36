// SPDX-License-Identifier: Apache-2.0

#include "extender/name_set.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>

namespace hami::extender {
namespace {

// More is given back: a cluster has thousands of nodes, whoever sends millions means no good.
constexpr size_t kMostKept = size_t{1} << 17;

// Not known outside: who knew it could send names that all collide.
uint64_t Seed() {
  static const uint64_t seed = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return seed;
}

uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// After wyhash (public domain), a word at a time.
uint64_t Hash(std::string_view name, uint64_t seed) {
  constexpr uint64_t kOdd = 0xa0761d6478bd642fU;
  uint64_t hash = seed ^ (name.size() * kOdd);
  for (size_t at = 0; at < name.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, name.data() + at, std::min(sizeof(word), name.size() - at));
    hash = Mix(word ^ kOdd, hash ^ seed);
  }
  return Mix(hash ^ kOdd, seed | 1);
}

}  // namespace

void NameSet::Begin(size_t most) {
  const size_t size = std::bit_ceil(2 * most + 1);
  if (cells_.size() > kMostKept) cells_ = {};
  if (names_.capacity() > kMostKept) names_ = {};
  if (cells_.size() < size) cells_.resize(size);
  std::fill_n(cells_.begin(), size, Cell());
  mask_ = size - 1;
  names_.clear();
  names_.reserve(most);
}

bool NameSet::Insert(std::string_view name) {
  const uint64_t hash = Hash(name, Seed());
  const auto tag = static_cast<uint32_t>(hash >> 32);
  for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
    Cell& cell = cells_[at];
    if (cell.number == kNone) {
      cell = {.tag = tag, .number = static_cast<uint32_t>(names_.size())};
      names_.push_back(name);
      return true;
    }
    if (cell.tag == tag && names_[cell.number] == name) return false;
  }
}

}  // namespace hami::extender
