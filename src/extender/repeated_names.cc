// SPDX-License-Identifier: Apache-2.0

#include "extender/repeated_names.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>

namespace hami::extender {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
// Cells that a thread keeps for its next call: a cluster has thousands of nodes.
constexpr size_t kMostKept = size_t{1} << 17;

// Of open addressing.
struct Cell {
  uint32_t tag = 0;  // of the hash
  uint32_t number = kNone;
};

// Not known outside, so that nobody can make names that collide.
uint64_t Seed() {
  static const uint64_t seed = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return seed;
}

uint64_t Word(const char* at, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, at, size);
  return word;
}

// Both halves of the product, as wyhash (public domain) does.
uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Whole words, of which the last two overlap what is before them.
uint64_t Hash(std::string_view name, uint64_t seed) {
  constexpr uint64_t kFirst = 0xa0761d6478bd642fU;
  constexpr uint64_t kSecond = 0xe7037ed1a0b428dbU;
  constexpr size_t kWord = sizeof(uint64_t);
  const size_t size = name.size();
  uint64_t hash = seed ^ size * kFirst;
  if (size < kWord) return Mix(Word(name.data(), name.size()) ^ kFirst, Mix(hash, kSecond));
  for (size_t at = 0; at + 2 * kWord < size; at += kWord) {
    hash = Mix(Word(name.data() + at, kWord) ^ kFirst, hash ^ kSecond);
  }
  const uint64_t before = Word(name.data() + (size < 2 * kWord ? 0 : size - 2 * kWord), kWord);
  return Mix(before ^ kSecond ^ hash, Word(name.data() + size - kWord, kWord) ^ seed ^ kFirst);
}

}  // namespace

void DropRepeated(std::vector<std::string_view>* names) {
  static thread_local std::vector<Cell> cells;
  const size_t size = std::bit_ceil(2 * names->size() + 1);
  if (cells.size() < size) cells.resize(size);
  std::fill_n(cells.begin(), size, Cell());
  const size_t mask = size - 1;
  const uint64_t seed = Seed();
  uint32_t kept = 0;
  for (const std::string_view name : *names) {
    const uint64_t hash = Hash(name, seed);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    size_t at = hash & mask;
    const auto is_same = [&](const Cell& cell) {
      return cell.tag == tag && (*names)[cell.number] == name;
    };
    while (cells[at].number != kNone && !is_same(cells[at])) at = (at + 1) & mask;
    if (cells[at].number != kNone) continue;
    cells[at] = {.tag = tag, .number = kept};
    (*names)[kept++] = name;
  }
  names->resize(kept);
  if (cells.size() > kMostKept) cells = {};
}

}  // namespace hami::extender
