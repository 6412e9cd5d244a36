// SPDX-License-Identifier: Apache-2.0

#include "preload/compute.h"

#include "preload/bucket.h"
#include "preload/chains.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/log.h"
#include "preload/overlap.h"
#include "preload/process.h"
#include "preload/rate.h"
#include "preload/sampler.h"
#include "preload/stream_context.h"
#include "region/os.h"

namespace hami::preload {

constinit LaunchWords launch_words;
constinit thread_local ThreadBudget thread_budget = {};

namespace {

// What a launch of a function that has never been measured is charged until it has been.
constexpr uint64_t kGuessNs = 20'000;
// A function that is launched again before its first measurement is in waits for that measurement,
// but no longer than this: the measurement may depend on something that this very thread is about
// to do.
constexpr uint64_t kFirstMeasureNs = 100'000'000;
constexpr int32_t kUnmeasuredInFlight = 1;
constexpr uint64_t kPollNs = 50'000;

// So many measurements of a function that has not settled are on their way.
constexpr int32_t kUnsettledInFlight = 4;

// Sleeps are cut into pieces, after each of which limits and switches are looked at again.
constexpr uint64_t kNapNs = 20'000'000;

// All sampling together happens at most this often once costs are learnt.
constexpr uint64_t kSampleSpacingNs = 1'000'000;
constinit std::atomic<uint64_t> last_sample_ns = 0;

// In a burst something is measured this often: it is how a neighbour is noticed.
constexpr uint64_t kBurstSampleSpacingNs = 2'000'000;

// The part to charge next: the one that is free first. nullptr: the device has no compute limit now
// (one part without one is enough).
DevicePart* PartToCharge(Device& device, uint64_t now_ns) {
  DevicePart* best = nullptr;
  for (int i = 0; i < device.part_count; ++i) {
    DevicePart& part = device.parts[i];
    if (RateNow(part, now_ns) == 0) return nullptr;
    if (best == nullptr || NextFreeNs(BucketOf(part)) < NextFreeNs(BucketOf(*best))) best = &part;
  }
  return best;
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

// A moment at which a caller may go, at the rate of the time when it was computed.
struct Turn {
  uint64_t at_ns;
  uint32_t rate_pct;
};

// Takes GPU time from a part's bucket.
Turn Take(const DevicePart& part, uint64_t gpu_ns) {
  const uint64_t true_ns = Scaled(Scaled(gpu_ns, OverlapFactorQ16()), CostScale(part));
  const uint64_t now_ns = os::NowNs();
  uint32_t rate_pct = RateNow(part, now_ns);
  if (rate_pct == 0) rate_pct = 100;  // lifted since it was looked at
  api::SlotExtension& slot = part.share->mapping.region->ext.slots[part.share->mapping.slot];
  std::atomic_ref(slot.gpu_ns[part.index]).fetch_add(true_ns, std::memory_order_relaxed);
  const uint64_t saved_ns = SavedNs(IsBursting(part, now_ns));
  const Turn turn = {TakeGpuTime(BucketOf(part), true_ns, rate_pct, now_ns, saved_ns), rate_pct};
  SayDisturbances();
  return turn;
}

// Where a launch goes.
struct Target {
  CUstream stream;
  StreamForm form;
};

// Sleeps until the turn has come. A limit that is changed or lifted meanwhile moves it.
void SleepForShare(const DevicePart& part, Turn turn, const Target& target) {
  const bool has_chain = IsSamplingStopped() && HasChain(target.stream, target.form);
  const uint64_t nap_ns = has_chain ? kPollNs : kNapNs;
  uint64_t now = os::NowNs();
  const uint64_t began = now;
  while (now < turn.at_ns) {
    const uint32_t rate_pct = RateNow(part, now);
    if (rate_pct == 0) break;
    if (rate_pct != turn.rate_pct) {
      turn = {MomentAtRate(turn.at_ns, turn.rate_pct, rate_pct, now), rate_pct};
      FollowRate(BucketOf(part), rate_pct, now);
      continue;
    }
    os::SleepUntil(turn.at_ns - now > nap_ns ? now + nap_ns : turn.at_ns);
    if (has_chain) LookAtChain(target.stream, target.form);
    FollowLimits();
    now = os::NowNs();
  }
  std::atomic_ref(BucketOf(part).throttled_ns).fetch_add(now - began, std::memory_order_relaxed);
}

// A function that was never measured: bounds how many launches of it are on their way, and says
// what to charge for one more.
uint64_t GuessCost(Cost& cost, Neighbours neighbours, const Target& target) {
  const uint64_t began = os::NowNs();
  uint64_t waited = 0;
  while (cost.cost_ns.load(std::memory_order_acquire) == 0 &&
         cost.pending.load(std::memory_order_relaxed) >= kUnmeasuredInFlight &&
         waited < kFirstMeasureNs) {
    os::SleepUntil(os::NowNs() + kPollNs);
    HarvestSamples(neighbours);
    if (IsSamplingStopped()) LookAtChain(target.stream, target.form);
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
void Spend(const Device& device, const DevicePart& part, uint64_t cost_ns, const Target& target) {
  int64_t& credit_ns = thread_budget.credit_ns[device.number];
  credit_ns -= static_cast<int64_t>(cost_ns);
  if (credit_ns >= 0) return;
  const auto grant_ns = static_cast<uint64_t>(kGrantNs - credit_ns);
  const Turn turn = Take(part, grant_ns);
  credit_ns = kGrantNs;
  SleepForShare(part, turn, target);
}

// A short launch that is to be measured goes first and is paid for by the next one: before a sleep
// the device is still busy with what was launched before, and what waits behind that is measured
// without the time that this thread takes to launch it. After a sleep the device has run dry.
bool SpendLater(const Device& device, uint64_t cost_ns) {
  int64_t& credit_ns = thread_budget.credit_ns[device.number];
  if (cost_ns == 0 || cost_ns > kGrantNs || credit_ns < -kGrantNs / 2) return false;
  credit_ns -= static_cast<int64_t>(cost_ns);
  return true;
}

bool ShouldSample(const Cost& cost, CUstream stream, bool bursting) {
  const bool window = WindowWantsSample(stream, thread_budget.several_streams);
  thread_budget.several_streams = false;
  StoreIfNew(launch_words.window_is_open, window);
  if (window) return true;
  if (cost.settled_ns.load(std::memory_order_relaxed) == 0) {
    return cost.pending.load(std::memory_order_relaxed) < kUnsettledInFlight;
  }
  const uint64_t now = os::NowNs();
  if (!bursting && now < cost.next_sample_ns.load(std::memory_order_relaxed)) return false;
  const uint64_t spacing_ns = bursting ? kBurstSampleSpacingNs : kSampleSpacingNs;
  uint64_t last = last_sample_ns.load(std::memory_order_relaxed);
  return now - last > spacing_ns && last_sample_ns.compare_exchange_strong(last, now);
}

Device* DeviceToCharge(CUstream stream) {
  const InContextOf where(stream);
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
    launch_words.mode.store(LaunchMode::kPass, std::memory_order_release);
    return;
  }
  WatchShares(*shares);
  launch_words.sole_device.store(SoleGrantedDevice(), std::memory_order_relaxed);
  launch_words.mode.store(HasComputeLimit(*shares) ? LaunchMode::kLimit : LaunchMode::kWatch,
                          std::memory_order_release);
}

void ResetComputeAfterFork() {
  launch_words.mode.store(LaunchMode::kAttach, std::memory_order_relaxed);
  launch_words.sole_device.store(-1, std::memory_order_relaxed);
  launch_words.window_is_open.store(false, std::memory_order_relaxed);
  ResetHoldsAfterFork();
  thread_budget = {};
  launch_words.active_captures.store(0, std::memory_order_relaxed);
  ResetCosts();
  ResetSamplerAfterFork();
  ResetChainsAfterFork();
}

Sample* AdmitSlow(const LaunchShape& shape, CUstream stream, StreamForm form, bool may_sample) {
  if (EnterCuda() != Mode::kLimit) {
    launch_words.mode.store(LaunchMode::kPass, std::memory_order_relaxed);
    return nullptr;
  }
  thread_budget.launches_left = kLaunchesBetweenLooks;
  thread_budget.lifted = false;
  if (IsCapturing(stream, form)) return nullptr;  // makes a graph node; the replay will be charged
  FollowLimits();
  WindAndWait(CurrentShares());
  if (launch_words.mode.load(std::memory_order_relaxed) != LaunchMode::kLimit) return nullptr;
  Device* device = DeviceToCharge(stream);
  const uint64_t now_ns = os::NowNs();
  DevicePart* part = device != nullptr ? PartToCharge(*device, now_ns) : nullptr;
  if (part == nullptr) {
    // Only there: a device that was not granted has no limit to be lifted.
    thread_budget.lifted =
        device != nullptr && device->part_count > 0 &&
        device->number == launch_words.sole_device.load(std::memory_order_relaxed);
    return nullptr;
  }

  const bool bursting = IsBursting(*part, now_ns);
  const Neighbours neighbours = NeighboursOf(*part);
  const Harvested harvested = HarvestSamples(neighbours);
  if (bursting && (harvested.foreign_slice || harvested.is_behind)) EndBurst(*part, now_ns);
  if (harvested.owed_ns > 0) Take(*part, harvested.owed_ns);
  Cost& cost = *FindCost(CostKey(shape));
  const uint64_t learnt_ns = cost.cost_ns.load(std::memory_order_acquire);
  const Target target = {stream, form};
  const bool chained = !may_sample || IsSamplingStopped();
  if (chained) LookAtChain(stream, form);
  const bool sample = !chained && ShouldSample(cost, stream, bursting);
  if (!sample || !SpendLater(*device, learnt_ns)) {
    const uint64_t cost_ns = learnt_ns != 0 ? learnt_ns : GuessCost(cost, neighbours, target);
    Spend(*device, *part, cost_ns, target);
  }
  if (chained) {
    JoinChain(cost, stream, form);
    StoreIfNew(launch_words.window_is_open, HasChain(stream, form));
  }
  return sample ? BeginSample(&cost, stream, form) : nullptr;
}

}  // namespace hami::preload
