// SPDX-License-Identifier: Apache-2.0

#include "preload/costs.h"

#include <cstddef>

#include "region/os.h"

namespace hami::preload {
namespace {

constexpr size_t kPlaces = 4096;
constexpr size_t kProbes = 32;
constinit Cost costs[kPlaces];

// Half of the shortest default time slice of current GPUs (about 2 ms): longer by that much means
// that a neighbour was in between.
constexpr uint64_t kClusterSlackNs = 1'000'000;

// So many samples settle a cost; it is then sampled again this often.
constexpr uint32_t kSettledAfter = 4;
constexpr uint64_t kSampleEveryNs = 20'000'000;

}  // namespace

Cost* FindCost(uint64_t key) {
  size_t at = key & (kPlaces - 1);
  for (size_t probe = 0; probe < kProbes; ++probe, at = (at + 1) & (kPlaces - 1)) {
    uint64_t seen = costs[at].key.load(std::memory_order_acquire);
    if (seen == key) return &costs[at];
    if (seen != 0) continue;
    if (costs[at].key.compare_exchange_strong(seen, key, std::memory_order_acq_rel)) {
      return &costs[at];
    }
    if (seen == key) return &costs[at];
  }
  return &costs[key & (kPlaces - 1)];
}

uint64_t PeekSettledCost(uint64_t key) {
  const Cost& cost = costs[key & (kPlaces - 1)];
  if (cost.key.load(std::memory_order_relaxed) != key) return 0;
  return cost.settled_ns.load(std::memory_order_relaxed);
}

uint64_t LowerClusterMean(const uint64_t* intervals_ns, uint32_t count) {
  if (count == 0) return 0;
  uint64_t shortest = intervals_ns[0];
  for (uint32_t i = 1; i < count; ++i) {
    if (intervals_ns[i] < shortest) shortest = intervals_ns[i];
  }
  const uint64_t bound = shortest + shortest / 2 + kClusterSlackNs;
  uint64_t sum = 0;
  uint64_t members = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (intervals_ns[i] > bound) continue;
    sum += intervals_ns[i];
    ++members;
  }
  return sum / members;
}

uint64_t AddCostSample(Cost& cost, uint64_t interval_ns) {
  const SpinLock::Holder holder(cost.lock);
  cost.samples_ns[cost.sample_count % kCostSamples] = interval_ns;
  ++cost.sample_count;
  const uint32_t kept = cost.sample_count < kCostSamples ? cost.sample_count : kCostSamples;
  uint64_t learnt_ns = LowerClusterMean(cost.samples_ns, kept);
  if (learnt_ns == 0) learnt_ns = 1;  // 0 means "not learnt"
  cost.cost_ns.store(learnt_ns, std::memory_order_release);
  if (cost.sample_count >= kSettledAfter) {
    cost.settled_ns.store(learnt_ns, std::memory_order_relaxed);
    cost.next_sample_ns.store(os::NowNs() + kSampleEveryNs, std::memory_order_relaxed);
  }
  if (cost.sample_count > 1) return 0;
  const uint64_t launches = cost.guessed_launches.exchange(0, std::memory_order_relaxed);
  const uint64_t charged_ns = cost.guessed_ns.exchange(0, std::memory_order_relaxed);
  const uint64_t due_ns = launches * learnt_ns;
  return due_ns > charged_ns ? due_ns - charged_ns : 0;
}

void ForgetCost(uint64_t key) {
  Cost& cost = *FindCost(key);
  const SpinLock::Holder holder(cost.lock);
  cost.sample_count = 0;
  cost.settled_ns.store(0, std::memory_order_relaxed);
  cost.next_sample_ns.store(0, std::memory_order_relaxed);
  cost.guessed_launches.store(0, std::memory_order_relaxed);
  cost.guessed_ns.store(0, std::memory_order_relaxed);
  cost.cost_ns.store(0, std::memory_order_release);
}

void ResetCosts() {
  for (Cost& cost : costs) {
    cost.lock.ResetAfterFork();
    cost.key.store(0, std::memory_order_relaxed);
    cost.cost_ns.store(0, std::memory_order_relaxed);
    cost.settled_ns.store(0, std::memory_order_relaxed);
    cost.next_sample_ns.store(0, std::memory_order_relaxed);
    cost.pending.store(0, std::memory_order_relaxed);
    cost.guessed_launches.store(0, std::memory_order_relaxed);
    cost.guessed_ns.store(0, std::memory_order_relaxed);
    cost.sample_count = 0;
  }
}

}  // namespace hami::preload
