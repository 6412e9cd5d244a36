// SPDX-License-Identifier: Apache-2.0

#include "preload/costs.h"

#include <cstddef>

#include "preload/rate.h"
#include "region/os.h"

namespace hami::preload {
namespace {

constexpr size_t kPlaces = 4096;
constexpr size_t kProbes = 32;
constinit Cost costs[kPlaces];

// Beyond half of its length and this much a launch is not longer by itself: a neighbour's slice, of
// up to about 2 ms, or a neighbour's kernel shorter than that was in between.
constexpr uint64_t kClusterSlackNs = 250'000;
constexpr uint64_t kLeastSlackNs = 50'000;

// So many samples in a row outside the cluster are a new behaviour, not neighbours.
// Beside neighbours that are known to be busy they are more likely those, and the agent's factor
// follows what has really changed: what was learnt beside idle ones waits for its word.
constexpr uint32_t kNewBehaviour = 4;
constexpr uint32_t kNewBehaviourBesideBusy = 16;

// The agent's word may be as old as a period of the driver's and a turn of its own: 0.3 s, more on
// a busy host.
constexpr uint32_t kOldWordMs = 600;

// So many samples settle a cost; it is then sampled again this often.
constexpr uint32_t kSettledAfter = 4;
constexpr uint64_t kSampleEveryNs = 20'000'000;
constexpr uint64_t kInexactRestNs = 2'000'000;

// The longest interval of the cluster. A kernel much shorter than a slice varies by less than one.
uint64_t ClusterBound(const uint64_t* intervals_ns, uint32_t count) {
  uint64_t shortest = intervals_ns[0];
  for (uint32_t i = 1; i < count; ++i) {
    if (intervals_ns[i] < shortest) shortest = intervals_ns[i];
  }
  uint64_t slack = 4 * shortest;
  if (slack < kLeastSlackNs) slack = kLeastSlackNs;
  if (slack > kClusterSlackNs) slack = kClusterSlackNs;
  return shortest + shortest / 2 + slack;
}

uint32_t NowMs() { return static_cast<uint32_t>(os::NowNs() / 1'000'000); }

bool IsBusy(Neighbours neighbours) {
  return neighbours == Neighbours::kBusy || neighbours == Neighbours::kBusyUndercharged;
}

bool IsFarFrom(uint64_t a, uint64_t b) { return a > b + b / 4 + 1000 || b > a + a / 4 + 1000; }

bool IsMuchShorter(uint64_t interval_ns, uint64_t than_ns) {
  return interval_ns < than_ns && IsFarFrom(interval_ns, than_ns);
}

// Whether a launch can have become so long by neighbours' time slices. Many neighbours are few
// where it matters: in launches much longer than a slice.
bool CanBeNeighbours(uint64_t interval_ns, uint64_t alone_ns) {
  constexpr uint64_t kMostNeighbours = 3;
  constexpr uint64_t kSlicesNs = 8'000'000;
  return interval_ns < (kMostNeighbours + 1) * alone_ns + kSlicesNs;
}

// Counts samples in a row that are longer than what is known. The lock is held.
void NoteOutside(Cost& cost, uint64_t interval_ns, uint64_t before_ns, Neighbours neighbours) {
  constexpr uint16_t kMost = 1000;
  const uint32_t kept = cost.sample_count < kCostSamples ? cost.sample_count : kCostSamples;
  // Beside a few slices of a neighbour's a long launch still looks like itself.
  const bool is_outside =
      interval_ns > ClusterBound(cost.samples_ns, kept) ||
      (cost.is_clean && IsBusy(neighbours) && ContainsForeignSlice(interval_ns, before_ns));
  if (!is_outside) {
    cost.outside_in_a_row = 0;
    return;
  }
  if (cost.outside_in_a_row == 0) cost.outside_since_ms = NowMs();
  if (cost.outside_in_a_row < kMost) ++cost.outside_in_a_row;
}

// Whether that many samples in a row can only be the launch's own. The lock is held.
bool AreOwn(const Cost& cost, bool can_be_neighbours, Neighbours neighbours) {
  if (!can_be_neighbours || (!cost.is_clean && !IsBusy(neighbours))) {
    return cost.outside_in_a_row >= kNewBehaviour;
  }
  if (cost.outside_in_a_row < kNewBehaviourBesideBusy) return false;
  if (!cost.is_clean || neighbours == Neighbours::kBusyUndercharged) return true;
  return neighbours == Neighbours::kUnknown && NowMs() - cost.outside_since_ms >= kOldWordMs;
}

// The same function with other data: what was learnt before says nothing any more. The lock is
// held.
bool IsNewBehaviour(Cost& cost, uint64_t interval_ns, Neighbours neighbours) {
  const uint64_t before_ns = cost.settled_ns.load(std::memory_order_relaxed);
  if (before_ns == 0) return false;
  if (neighbours == Neighbours::kIdle) return IsFarFrom(interval_ns, before_ns);
  NoteOutside(cost, interval_ns, before_ns, neighbours);
  if (!AreOwn(cost, CanBeNeighbours(interval_ns, before_ns), neighbours)) return false;
  cost.outside_in_a_row = 0;
  return true;
}

// An inexact interval beside exact ones. It can be too long by what a host takes to launch; and too
// short, where the launch ran already while the host was kept from seeing that it had begun.
bool SaysNothingNew(const Cost& cost, uint64_t interval_ns, uint64_t lacks_ns) {
  const uint64_t known_ns = cost.cost_ns.load(std::memory_order_relaxed);
  return cost.has_exact && interval_ns + lacks_ns >= known_ns &&
         interval_ns < 2 * known_ns + kLeastSlackNs;
}

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

uint64_t Mean(const uint64_t* intervals_ns, uint32_t count) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < count; ++i) sum += intervals_ns[i];
  return count == 0 ? 0 : sum / count;
}

uint64_t LowerClusterMean(const uint64_t* intervals_ns, uint32_t count) {
  if (count == 0) return 0;
  const uint64_t bound = ClusterBound(intervals_ns, count);
  uint64_t sum = 0;
  uint64_t members = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (intervals_ns[i] > bound) continue;
    sum += intervals_ns[i];
    ++members;
  }
  return sum / members;
}

// Unevenly: time slices come evenly, and the same part of each would be seen for ever.
void RestCost(Cost& cost) {
  const uint64_t now_ns = os::NowNs();
  const uint64_t some_ns = (now_ns * 0x9e3779b97f4a7c15ULL >> 32) % kSampleEveryNs;
  cost.next_sample_ns.store(now_ns + kSampleEveryNs / 2 + some_ns, std::memory_order_relaxed);
}

uint64_t AddCostSample(Cost& cost, uint64_t interval_ns, Neighbours neighbours, bool is_exact,
                       uint64_t lacks_ns) {
  const bool neighbours_idle = neighbours == Neighbours::kIdle;
  const SpinLock::Holder holder(cost.lock);
  if (!is_exact && SaysNothingNew(cost, interval_ns, lacks_ns)) {
    cost.next_sample_ns.store(os::NowNs() + kInexactRestNs, std::memory_order_relaxed);
    return 0;
  }
  // Rather too much than too little, until there is an exact one; but where the host took much of
  // the interval it took it for something else, as for loading the function.
  if (!is_exact) interval_ns += lacks_ns < interval_ns / 4 ? lacks_ns : interval_ns / 4;
  const bool is_first_exact = is_exact && !cost.has_exact;
  if (is_first_exact) {
    cost.sample_count = 0;
    cost.outside_in_a_row = 0;
    cost.has_exact = true;
    cost.is_clean = false;
  } else if (IsNewBehaviour(cost, interval_ns, neighbours)) {
    cost.sample_count = 0;
    cost.has_exact = is_exact;
    cost.is_clean = false;
    cost.settled_ns.store(0, std::memory_order_relaxed);
  } else if (cost.outside_in_a_row > 0 &&
             (IsBusy(neighbours) || (cost.is_clean && !neighbours_idle))) {
    // Probably neighbours' time; it does not push out what is known. The rest is looked into.
    if (CanBeNeighbours(interval_ns, cost.settled_ns.load(std::memory_order_relaxed))) {
      RestCost(cost);
    } else {
      cost.next_sample_ns.store(0, std::memory_order_relaxed);
    }
    return 0;
  }
  if (neighbours_idle) {
    cost.is_clean = true;
  } else if (IsMuchShorter(interval_ns, cost.settled_ns.load(std::memory_order_relaxed))) {
    // It was not clean: the agent's word was old when it was learnt.
    cost.is_clean = false;
  }
  cost.samples_ns[cost.sample_count % kCostSamples] = interval_ns;
  ++cost.sample_count;
  const uint32_t kept = cost.sample_count < kCostSamples ? cost.sample_count : kCostSamples;
  uint64_t learnt_ns =
      neighbours_idle ? Mean(cost.samples_ns, kept) : LowerClusterMean(cost.samples_ns, kept);
  if (learnt_ns == 0) learnt_ns = 1;  // 0 means "not learnt"
  cost.cost_ns.store(learnt_ns, std::memory_order_release);
  if (is_first_exact && cost.settled_ns.load(std::memory_order_relaxed) != 0) {
    cost.settled_ns.store(learnt_ns, std::memory_order_relaxed);
    cost.next_sample_ns.store(0, std::memory_order_relaxed);
  }
  if (cost.sample_count >= kSettledAfter) {
    cost.settled_ns.store(learnt_ns, std::memory_order_relaxed);
    // One that does not fit in is looked into at once.
    if (cost.outside_in_a_row > 0) {
      cost.next_sample_ns.store(0, std::memory_order_relaxed);
    } else {
      RestCost(cost);
    }
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
  cost.outside_in_a_row = 0;
  cost.has_exact = false;
  cost.is_clean = false;
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
    cost.outside_in_a_row = 0;
    cost.has_exact = false;
    cost.is_clean = false;
  }
}

}  // namespace hami::preload
