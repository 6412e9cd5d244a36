// SPDX-License-Identifier: Apache-2.0

#include "preload/rate.h"

#include <atomic>

#include "preload/bucket.h"

namespace hami::preload {
namespace {

constexpr uint32_t kAllPct = 100;
constexpr uint32_t kIdlePct = 1;

// As long as the agent needs to see a neighbour that this process has seen.
constexpr uint64_t kNoBurstNs = 1'000'000'000;

constexpr uint64_t kBurstSavedNs = 2'000'000;

// The agent's factor from which what was learnt is not believed any more. Less can be a few kernels
// that have not ended yet, and the factor corrects it.
constexpr uint32_t kUnderchargedQ16 = 65536 * 3 / 2;

// Less than any driver's time slice.
constexpr uint64_t kLeastSliceNs = 400'000;

}  // namespace

Neighbours NeighboursOf(const DevicePart& part) {
  const uint32_t seen =
      std::atomic_ref(BucketOf(part).neighbour_busy_pct).load(std::memory_order_relaxed);
  if (seen == 0) return Neighbours::kUnknown;
  if (seen - 1 <= kIdlePct) return Neighbours::kIdle;
  const uint32_t scale_q16 =
      std::atomic_ref(BucketOf(part).cost_scale_q16).load(std::memory_order_relaxed);
  return scale_q16 < kUnderchargedQ16 ? Neighbours::kBusy : Neighbours::kBusyUndercharged;
}

bool IsBursting(const DevicePart& part, uint64_t now_ns) {
  if (part.policy.load(std::memory_order_relaxed) != region::CorePolicy::kBurst) return false;
  if (part.cores_pct.load(std::memory_order_relaxed) == 0) return false;
  const uint64_t not_before_ns =
      std::atomic_ref(BucketOf(part).no_burst_until_ns).load(std::memory_order_relaxed);
  // A moment further away than it can be is not ours.
  const bool forbidden = now_ns < not_before_ns && not_before_ns - now_ns <= kNoBurstNs;
  return !forbidden && NeighboursOf(part) == Neighbours::kIdle;
}

uint32_t RateNow(const DevicePart& part, uint64_t now_ns) {
  const uint32_t cores_pct = part.cores_pct.load(std::memory_order_relaxed);
  if (cores_pct == 0) return 0;
  switch (part.policy.load(std::memory_order_relaxed)) {
    case region::CorePolicy::kForce:
      return cores_pct;
    case region::CorePolicy::kDisable:
      return 0;
    case region::CorePolicy::kBurst:
      return IsBursting(part, now_ns) ? kAllPct : cores_pct;
    case region::CorePolicy::kDefault:
      break;
  }
  const int32_t& monitors = part.share->mapping.region->v1.utilization_switch;
  return __atomic_load_n(&monitors, __ATOMIC_RELAXED) != 0 ? cores_pct : 0;
}

void EndBurst(const DevicePart& part, uint64_t now_ns) {
  std::atomic_ref(BucketOf(part).no_burst_until_ns)
      .store(now_ns + kNoBurstNs, std::memory_order_relaxed);
  FollowRate(BucketOf(part), part.cores_pct.load(std::memory_order_relaxed), now_ns);
}

uint64_t SavedNs(bool bursting) { return bursting ? kBurstSavedNs : kBurstNs; }

bool ContainsForeignSlice(uint64_t interval_ns, uint64_t alone_ns) {
  return alone_ns != 0 && interval_ns > alone_ns + alone_ns / 8 + kLeastSliceNs;
}

}  // namespace hami::preload
