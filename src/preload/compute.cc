// SPDX-License-Identifier: Apache-2.0

#include "preload/compute.h"

#include "preload/bucket.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/log.h"
#include "preload/overlap.h"
#include "preload/process.h"
#include "preload/sampler.h"
#include "region/os.h"

namespace hami::preload {

constinit std::atomic<LaunchMode> launch_mode = LaunchMode::kAttach;
constinit thread_local ThreadBudget thread_budget = {};
constinit std::atomic<int> sole_device = -1;
constinit std::atomic<bool> window_is_open = false;

namespace {

constinit int32_t always_wound = kRecentKernelWound;

// What a launch of a function that has never been measured is charged until it has been.
constexpr uint64_t kGuessNs = 20'000;
// A function that is launched again before its first measurement is in waits for that measurement,
// but no longer than this: the measurement may depend on something that this very thread is about
// to do.
constexpr uint64_t kFirstMeasureNs = 20'000'000;
constexpr int32_t kUnmeasuredInFlight = 2;
constexpr uint64_t kPollNs = 50'000;

// Sleeps are cut into pieces, after each of which limits and switches are looked at again.
constexpr uint64_t kNapNs = 20'000'000;

// All sampling together happens at most this often once costs are learnt.
constexpr uint64_t kSampleSpacingNs = 1'000'000;
constinit std::atomic<uint64_t> last_sample_ns = 0;

}  // namespace

constinit const int32_t* recent_kernel_watch = &always_wound;

namespace {

api::RegionV1& HeaderOf(const DevicePart& part) { return part.share->mapping.region->v1; }

api::DeviceExtension& BucketOf(const DevicePart& part) {
  return part.share->mapping.region->ext.devices[part.index];
}

// Whether a part's compute limit holds right now: the policy and, with the default policy, the
// monitor's switch.
bool IsEnforced(const DevicePart& part) {
  if (part.cores_pct.load(std::memory_order_relaxed) == 0) return false;
  switch (part.share->limits.devices[part.index].policy) {
    case region::CorePolicy::kForce:
      return true;
    case region::CorePolicy::kDisable:
      return false;
    case region::CorePolicy::kDefault:
      break;
  }
  return std::atomic_ref(HeaderOf(part).utilization_switch).load(std::memory_order_relaxed) != 0;
}

// The part to charge next: the one that is free first. nullptr: the device has no compute limit now
// (one part without one is enough).
DevicePart* PartToCharge(Device& device) {
  DevicePart* best = nullptr;
  for (int i = 0; i < device.part_count; ++i) {
    DevicePart& part = device.parts[i];
    if (!IsEnforced(part)) return nullptr;
    if (best == nullptr || NextFreeNs(BucketOf(part)) < NextFreeNs(BucketOf(*best))) best = &part;
  }
  return best;
}

// Winds the monitor's counter up, and waits while the monitor holds this tenant back.
void WindAndWait(Shares& shares) {
  for (int i = 0; i < shares.count; ++i) {
    api::RegionV1& header = shares.entries[i].mapping.region->v1;
    std::atomic_ref<int32_t> recent(header.recent_kernel);
    int32_t seen = recent.load(std::memory_order_relaxed);
    while (seen < 0) {
      os::SleepUntil(os::NowNs() + kNapNs / 4);
      seen = recent.load(std::memory_order_relaxed);
    }
    // Not over a hold that the monitor sets at this moment.
    if (seen != kRecentKernelWound) recent.compare_exchange_strong(seen, kRecentKernelWound);
    std::atomic_ref(header.last_kernel_time).store(os::WallSeconds(), std::memory_order_relaxed);
  }
}

uint64_t Scaled(uint64_t ns, uint32_t factor_q16) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ns) * factor_q16 >> 16);
}

// The agent's correction of our estimates, kept within what it may be: the region is the tenant's.
uint32_t CostScale(const DevicePart& part) {
  constexpr uint32_t kLeast = 65536 / 4;
  constexpr uint32_t kMost = 65536 * 4;
  const uint32_t scale =
      std::atomic_ref(BucketOf(part).cost_scale_q16).load(std::memory_order_relaxed);
  return scale < kLeast ? kLeast : scale > kMost ? kMost : scale;
}

// Whether an agent looks at the device and sees (almost) nobody else on it.
bool AreNeighboursIdle(const DevicePart& part) {
  constexpr uint32_t kIdlePct = 1;
  const uint32_t seen =
      std::atomic_ref(BucketOf(part).neighbour_busy_pct).load(std::memory_order_relaxed);
  return seen != 0 && seen - 1 <= kIdlePct;
}

// Takes GPU time from a part's bucket. Returns when it may be used.
uint64_t Take(const DevicePart& part, uint64_t gpu_ns) {
  const uint64_t true_ns = Scaled(Scaled(gpu_ns, OverlapFactorQ16()), CostScale(part));
  const uint32_t rate_pct = part.cores_pct.load(std::memory_order_relaxed);
  api::SlotExtension& slot = part.share->mapping.region->ext.slots[part.share->mapping.slot];
  std::atomic_ref(slot.gpu_ns[part.index]).fetch_add(true_ns, std::memory_order_relaxed);
  return TakeGpuTime(BucketOf(part), true_ns, rate_pct > 0 ? rate_pct : 100, os::NowNs());
}

// Sleeps until `until_ns`, unless the limit is lifted meanwhile.
void SleepForShare(const DevicePart& part, uint64_t until_ns) {
  uint64_t now = os::NowNs();
  const uint64_t began = now;
  while (now < until_ns && IsEnforced(part)) {
    os::SleepUntil(until_ns - now > kNapNs ? now + kNapNs : until_ns);
    FollowLimits();
    now = os::NowNs();
  }
  std::atomic_ref(BucketOf(part).throttled_ns).fetch_add(now - began, std::memory_order_relaxed);
}

// A function that was never measured: bounds how many launches of it are on their way, and says
// what to charge for one more.
uint64_t GuessCost(Cost& cost, bool neighbours_idle) {
  const uint64_t began = os::NowNs();
  uint64_t waited = 0;
  while (cost.cost_ns.load(std::memory_order_acquire) == 0 &&
         cost.pending.load(std::memory_order_relaxed) >= kUnmeasuredInFlight &&
         waited < kFirstMeasureNs) {
    os::SleepUntil(os::NowNs() + kPollNs);
    HarvestSamples(neighbours_idle);
    waited = os::NowNs() - began;
  }
  const uint64_t learnt_ns = cost.cost_ns.load(std::memory_order_acquire);
  if (learnt_ns != 0) return learnt_ns;
  // Still unknown: it is at least as long as we have waited for it.
  const uint64_t guess_ns = waited > kGuessNs ? waited : kGuessNs;
  cost.guessed_launches.fetch_add(1, std::memory_order_relaxed);
  cost.guessed_ns.fetch_add(guess_ns, std::memory_order_relaxed);
  return guess_ns;
}

// Spends the thread's credit on `cost_ns`, getting more from the bucket (and sleeping for it) if it
// does not suffice.
void Spend(const Device& device, const DevicePart& part, uint64_t cost_ns) {
  int64_t& credit_ns = thread_budget.credit_ns[device.number];
  credit_ns -= static_cast<int64_t>(cost_ns);
  if (credit_ns >= 0) return;
  const auto grant_ns = static_cast<uint64_t>(kGrantNs - credit_ns);
  const uint64_t until_ns = Take(part, grant_ns);
  credit_ns = kGrantNs;
  SleepForShare(part, until_ns);
}

bool ShouldSample(const Cost& cost, CUstream stream) {
  const bool window = WindowWantsSample(stream, thread_budget.several_streams);
  thread_budget.several_streams = false;
  window_is_open.store(window, std::memory_order_relaxed);
  if (window) return true;
  if (cost.settled_ns.load(std::memory_order_relaxed) == 0) {
    return cost.pending.load(std::memory_order_relaxed) < 2 * kUnmeasuredInFlight;
  }
  const uint64_t now = os::NowNs();
  if (now < cost.next_sample_ns.load(std::memory_order_relaxed)) return false;
  uint64_t last = last_sample_ns.load(std::memory_order_relaxed);
  return now - last > kSampleSpacingNs && last_sample_ns.compare_exchange_strong(last, now);
}

Device* DeviceToCharge() {
  CUdevice ordinal = -1;
  if (cuda.cuCtxGetDevice(&ordinal) != CUDA_SUCCESS) return nullptr;
  return DeviceOfOrdinal(ordinal);
}

bool HasComputeLimit(const Shares& shares) {
  for (int s = 0; s < shares.count; ++s) {
    for (int i = 0; i < shares.entries[s].limits.device_count; ++i) {
      const region::DeviceLimit& limit = shares.entries[s].limits.devices[i];
      if (limit.cores_pct != 0 && limit.policy != region::CorePolicy::kDisable) return true;
    }
  }
  return false;
}

}  // namespace

void StartCompute(Shares* shares) {
  if (shares->count == 0) {
    launch_mode.store(LaunchMode::kPass, std::memory_order_release);
    return;
  }
  recent_kernel_watch = &shares->entries[0].mapping.region->v1.recent_kernel;
  sole_device.store(SoleGrantedDevice(), std::memory_order_relaxed);
  launch_mode.store(HasComputeLimit(*shares) ? LaunchMode::kLimit : LaunchMode::kWatch,
                    std::memory_order_release);
}

void ResetComputeAfterFork() {
  launch_mode.store(LaunchMode::kAttach, std::memory_order_relaxed);
  sole_device.store(-1, std::memory_order_relaxed);
  window_is_open.store(false, std::memory_order_relaxed);
  recent_kernel_watch = &always_wound;
  thread_budget = {};
  active_captures.store(0, std::memory_order_relaxed);
  ResetCosts();
  ResetSamplerAfterFork();
}

Sample* AdmitSlow(const LaunchShape& shape, CUstream stream, StreamForm form, bool may_sample) {
  if (EnterCuda() != Mode::kLimit) {
    launch_mode.store(LaunchMode::kPass, std::memory_order_relaxed);
    return nullptr;
  }
  thread_budget.launches_left = kLaunchesBetweenLooks;
  if (IsCapturing(stream, form)) return nullptr;  // makes a graph node; the replay will be charged
  FollowLimits();
  WindAndWait(CurrentShares());
  Device* device = DeviceToCharge();
  DevicePart* part = device != nullptr ? PartToCharge(*device) : nullptr;
  if (part == nullptr) return nullptr;

  const bool neighbours_idle = AreNeighboursIdle(*part);
  const uint64_t owed_ns = HarvestSamples(neighbours_idle);
  if (owed_ns > 0) Take(*part, owed_ns);
  Cost& cost = *FindCost(CostKey(shape));
  const uint64_t learnt_ns = cost.cost_ns.load(std::memory_order_acquire);
  Spend(*device, *part, learnt_ns != 0 ? learnt_ns : GuessCost(cost, neighbours_idle));
  const bool sample = ShouldSample(cost, stream) && may_sample;
  return sample ? BeginSample(&cost, stream, form) : nullptr;
}

}  // namespace hami::preload
