// SPDX-License-Identifier: Apache-2.0
//
// Which n of m devices are connected best: the set whose pair scores (contract 2.2) have the
// largest sum; for one device the one that the others miss least. Pure.
//
// The number of sets grows without bound (16 of 32 are 600 million), so the search is exact only up
// to a bound of steps and goes on from a greedy set improved by exchanges: what it returns is never
// worse than that set, and is the best where the bound was not reached.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vendor/device.h"

namespace hami::placement {

// Symmetric scores between `size` things.
class PairScores {
 public:
  explicit PairScores(size_t size) : size_(size), scores_(size * size) {}

  size_t size() const { return size_; }
  int32_t At(size_t a, size_t b) const { return scores_[a * size_ + b]; }
  void Set(size_t a, size_t b, int32_t score) {
    scores_[a * size_ + b] = score;
    scores_[b * size_ + a] = score;
  }
  int64_t SumOf(std::span<const uint16_t> set) const;

 private:
  size_t size_;
  std::vector<int32_t> scores_;
};

// Of devices of one node; a pair that only one side knows of counts as that side says.
PairScores PairScoresOf(std::span<const vendor::Device* const> devices);

// Places of the chosen, in the order given: ties go to who stands first. `count` is at most
// scores.size().
std::vector<uint16_t> BestConnected(const PairScores& scores, size_t count);

}  // namespace hami::placement
