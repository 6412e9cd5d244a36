// SPDX-License-Identifier: Apache-2.0

#include "placement/topology.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace hami::placement {
namespace {

constexpr int kMaxSteps = 20000;  // of the exact search; sets of 8 of 16 GPUs stay below it

// The set that grows by its best newcomer, from the best pair on; then single exchanges as long as
// one is better.
std::vector<uint16_t> GreedySet(const PairScores& scores, size_t count) {
  const size_t size = scores.size();
  std::vector<uint16_t> set;
  std::vector<int64_t> gain(size, 0);  // to the set so far
  std::vector<bool> in(size, false);
  const auto add = [&](size_t one) {
    set.push_back(static_cast<uint16_t>(one));
    in[one] = true;
    for (size_t i = 0; i < size; ++i) {
      if (i != one) gain[i] += scores.At(i, one);
    }
  };
  size_t first = 0;
  size_t second = 1;
  for (size_t a = 0; a < size; ++a) {
    for (size_t b = a + 1; b < size; ++b) {
      if (scores.At(a, b) > scores.At(first, second)) {
        first = a;
        second = b;
      }
    }
  }
  add(first);
  add(second);
  while (set.size() < count) {
    size_t best = size;
    for (size_t i = 0; i < size; ++i) {
      if (!in[i] && (best == size || gain[i] > gain[best])) best = i;
    }
    add(best);
  }
  for (bool better = true; better;) {
    better = false;
    for (uint16_t& out : set) {
      for (size_t i = 0; i < size; ++i) {
        if (in[i] || gain[i] - scores.At(i, out) <= gain[out]) continue;
        for (size_t k = 0; k < size; ++k) {
          if (k != i) gain[k] += scores.At(k, i);
          if (k != out) gain[k] -= scores.At(k, out);
        }
        in[out] = false;
        in[i] = true;
        out = static_cast<uint16_t>(i);
        better = true;
      }
    }
  }
  std::sort(set.begin(), set.end());
  return set;
}

// Branch and bound in the order of the places, so that of equal sets the first wins.
class ExactSearch {
 public:
  ExactSearch(const PairScores& scores, size_t count, std::vector<uint16_t> start)
      : scores_(scores), count_(count), best_(std::move(start)), best_sum_(scores.SumOf(best_)) {
    for (size_t a = 0; a < scores.size(); ++a) {
      int32_t highest = std::numeric_limits<int32_t>::min();
      for (size_t b = 0; b < scores.size(); ++b) {
        if (a != b) highest = std::max(highest, scores.At(a, b));
      }
      highest_.push_back(highest);
    }
  }

  std::vector<uint16_t> Run() {
    Extend(0, 0);
    return best_;
  }

 private:
  // Twice what the rest can add at most: its links to the set, and half of the best link of each
  // newcomer to the others.
  int64_t TwiceBound(size_t from) {
    const size_t missing = count_ - set_.size();
    bounds_.clear();
    for (size_t i = from; i < scores_.size(); ++i) {
      int64_t links = 0;
      for (const uint16_t one : set_) links += scores_.At(i, one);
      bounds_.push_back(2 * links + static_cast<int64_t>(missing - 1) * highest_[i]);
    }
    if (bounds_.size() < missing) return std::numeric_limits<int64_t>::min();
    std::partial_sort(bounds_.begin(), bounds_.begin() + static_cast<ptrdiff_t>(missing),
                      bounds_.end(), std::greater<>());
    return std::accumulate(bounds_.begin(), bounds_.begin() + static_cast<ptrdiff_t>(missing),
                           int64_t{0});
  }

  void Extend(size_t from, int64_t sum) {
    if (set_.size() == count_) {
      if (sum > best_sum_ || (sum == best_sum_ && !found_)) {
        best_ = set_;
        best_sum_ = sum;
        found_ = true;
      }
      return;
    }
    if (++steps_ > kMaxSteps) return;
    const int64_t bound = TwiceBound(from);
    if (bound == std::numeric_limits<int64_t>::min()) return;
    const int64_t most = 2 * sum + bound;
    if (most < 2 * best_sum_ || (most <= 2 * best_sum_ && found_)) return;
    for (size_t i = from; i < scores_.size(); ++i) {
      int64_t links = 0;
      for (const uint16_t one : set_) links += scores_.At(i, one);
      set_.push_back(static_cast<uint16_t>(i));
      Extend(i + 1, sum + links);
      set_.pop_back();
    }
  }

  const PairScores& scores_;
  const size_t count_;
  std::vector<uint16_t> best_;
  int64_t best_sum_;
  bool found_ = false;  // best_ is of this search
  int steps_ = 0;
  std::vector<uint16_t> set_;
  std::vector<int32_t> highest_;
  std::vector<int64_t> bounds_;
};

}  // namespace

int64_t PairScores::SumOf(std::span<const uint16_t> set) const {
  int64_t sum = 0;
  for (size_t a = 0; a < set.size(); ++a) {
    for (size_t b = a + 1; b < set.size(); ++b) sum += At(set[a], set[b]);
  }
  return sum;
}

PairScores PairScoresOf(std::span<const vendor::Device* const> devices) {
  PairScores scores(devices.size());
  const auto score = [](const vendor::Device& from, const vendor::Device& to) {
    const auto found = from.pair_scores.find(to.id);
    return found == from.pair_scores.end() ? int32_t{0} : found->second;
  };
  for (size_t a = 0; a < devices.size(); ++a) {
    for (size_t b = a + 1; b < devices.size(); ++b) {
      scores.Set(a, b, std::max(score(*devices[a], *devices[b]), score(*devices[b], *devices[a])));
    }
  }
  return scores;
}

std::vector<uint16_t> BestConnected(const PairScores& scores, size_t count) {
  const size_t size = scores.size();
  std::vector<uint16_t> all(size);
  std::iota(all.begin(), all.end(), uint16_t{0});
  if (count == 0) return {};
  if (count >= size) return all;
  if (count == 1) {
    size_t best = 0;
    int64_t best_sum = std::numeric_limits<int64_t>::max();
    for (size_t a = 0; a < size; ++a) {
      int64_t sum = 0;
      for (size_t b = 0; b < size; ++b) sum += a == b ? 0 : scores.At(a, b);
      if (sum < best_sum) {
        best = a;
        best_sum = sum;
      }
    }
    return {static_cast<uint16_t>(best)};
  }
  return ExactSearch(scores, count, GreedySet(scores, count)).Run();
}

}  // namespace hami::placement
