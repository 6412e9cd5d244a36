// SPDX-License-Identifier: Apache-2.0
//
// What a launch costs in exclusive GPU time, learnt per function and shape (and per executable
// graph) from sampled event intervals.
//
// Beside idle neighbours (the agent says so in the region) the estimate is the mean of the last
// samples. Otherwise an interval is too long when a neighbour's time slice fell into it, never too
// short, and the estimate is the mean of the lower cluster of the last samples: those that are not
// much longer than the shortest. For kernels shorter than a slice that is the kernel's own time;
// for longer ones every sample contains foreign slices, and the agent's factor (cost_scale_q16 of
// the region) takes them out. What was learnt beside idle neighbours is kept when they become busy,
// until the factor says that it is not true any more: longer intervals alone are neighbours' time,
// and to learn them would halve a share for the second that the factor needs to follow
// (compute_share_test, NewNeighbour).
//
// A fixed table without deletion; when it is full further shapes share the entry of their hash.
// Reads are lock-free; samples are added under the entry's lock.

#pragma once

#include <atomic>
#include <cstdint>

#include "preload/lock.h"

namespace hami::preload {

inline constexpr int kCostSamples = 16;

// What is known of other tenants on the device. kBusy: an agent watches, and corrects what is
// learnt. kBusyUndercharged: and it sees much more of our work than what was charged for it.
enum class Neighbours : uint8_t { kUnknown, kIdle, kBusy, kBusyUndercharged };

struct alignas(64) Cost {
  std::atomic<uint64_t> key{0};             // 0: empty
  std::atomic<uint64_t> settled_ns{0};      // the cost once enough samples agree; 0 before
  std::atomic<uint64_t> cost_ns{0};         // the best estimate; 0: not learnt yet
  std::atomic<uint64_t> next_sample_ns{0};  // CLOCK_MONOTONIC
  std::atomic<int32_t> pending{0};          // samples on their way
  // While not learnt: how often it was launched and what was charged for that.
  std::atomic<uint32_t> guessed_launches{0};
  std::atomic<uint64_t> guessed_ns{0};

  SpinLock lock;
  bool has_exact = false;         // the samples kept are exact ones
  bool is_clean = false;          // and taken beside idle neighbours
  uint16_t outside_in_a_row = 0;  // the newest samples, longer than what is known
  uint32_t outside_since_ms = 0;  // the first of them; CLOCK_MONOTONIC, the lower bits
  uint32_t sample_count = 0;
  uint64_t samples_ns[kCostSamples] = {};
};

static_assert(sizeof(Cost) == 192);

struct LaunchShape {
  const void* function;  // or an executable graph
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;
};

inline uint64_t CostKey(const LaunchShape& shape) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15ULL;
  uint64_t hash = reinterpret_cast<uint64_t>(shape.function);
  hash = (hash ^ (uint64_t{shape.grid[0]} << 32 | shape.grid[1])) * kFactor;
  hash ^= hash >> 32;
  hash = (hash ^ (uint64_t{shape.grid[2]} << 32 | shape.shared_bytes)) * kFactor;
  hash ^= hash >> 32;
  hash =
      (hash ^ (uint64_t{shape.block[0]} << 40 ^ uint64_t{shape.block[1]} << 20 ^ shape.block[2])) *
      kFactor;
  hash ^= hash >> 29;
  return hash | 1;  // never 0
}

// The entry for a key, made if needed. Never nullptr.
Cost* FindCost(uint64_t key);

// The settled cost of a key if its entry lies where it usually does, else 0. For the fast path.
uint64_t PeekSettledCost(uint64_t key);

// Adds one measured interval. Returns the GPU time by which the launches that were charged before
// the cost was known were charged too little; 0 from the second sample on. `is_exact` false: the
// interval may contain time that the host took, or lack up to `lacks_ns` that was taken off for
// that; it counts only until there is an exact one, or if it says something new all the same.
uint64_t AddCostSample(Cost& cost, uint64_t interval_ns, Neighbours neighbours,
                       bool is_exact = true, uint64_t lacks_ns = 0);

// Takes no sample of a settled cost for as long as after one that was taken.
void RestCost(Cost& cost);

// Forgets what was learnt: the handle of a destroyed graph may come back for another one.
void ForgetCost(uint64_t key);

// The mean of `count` intervals.
uint64_t Mean(const uint64_t* intervals_ns, uint32_t count);

// The mean of the lower cluster of `count` intervals (at most kCostSamples). For tests too.
uint64_t LowerClusterMean(const uint64_t* intervals_ns, uint32_t count);

void ResetCosts();

}  // namespace hami::preload
