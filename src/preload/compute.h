// SPDX-License-Identifier: Apache-2.0
//
// The compute limit: every launch is charged its cost in exclusive GPU time (costs.h) against the
// bucket of the share on the device (bucket.h); a caller whose share is used up sleeps until a
// computed moment (rate.h says how fast it earns). It never waits for a GPU to finish something, so
// a thread that feeds two GPUs which wait for each other cannot be deadlocked by us.
//
// The usual launch stays in the inline functions below: a thread holds a little granted time, looks
// the cost up and subtracts it. Everything else (grants, sleeping, sampling, the monitor's
// switches, captures) happens in slow paths, at least every kGrantNs of GPU time.

#pragma once

#include <cstdint>

#include "preload/capture.h"
#include "preload/costs.h"
#include "preload/holds.h"
#include "preload/launch_words.h"
#include "preload/shares.h"

namespace hami::preload {

// Decides the mode from the limits; at attach and when limits were replaced.
void StartCompute(Shares* shares);

void ResetComputeAfterFork();

// GPU time is granted to a thread in portions of this much.
inline constexpr int64_t kGrantNs = 100'000;

// A thread passes through the slow path at least every so many launches.
inline constexpr uint32_t kLaunchesBetweenLooks = 256;

// A thread's granted GPU time, per device (Device::number), and what it has done since its last
// look.
inline constexpr int kMaxDeviceNumbers = 32;
struct ThreadBudget {
  int64_t credit_ns[kMaxDeviceNumbers];
  uint32_t launches_left;
  bool lifted;  // no limit acts now on the only granted device
  bool several_streams;
  const void* last_stream;
};
extern constinit thread_local ThreadBudget thread_budget;

// True: the launch is charged and may go. False: take the slow path.
inline bool AdmitFast(const LaunchShape& shape, const void* stream) {
  ThreadBudget& budget = thread_budget;
  const int device = launch_words.sole_device.load(std::memory_order_relaxed);
  if (device < 0 || budget.launches_left == 0 || !NothingIsNew()) return false;
  if (budget.lifted) {
    --budget.launches_left;
    return true;
  }
  if (launch_words.window_is_open.load(std::memory_order_relaxed)) return false;
  if (launch_words.active_captures.load(std::memory_order_relaxed) != 0) return false;
  const auto cost_ns = static_cast<int64_t>(PeekSettledCost(CostKey(shape)));
  if (cost_ns == 0 || cost_ns > budget.credit_ns[device]) return false;
  if (stream != budget.last_stream) {
    budget.last_stream = stream;
    budget.several_streams = true;
  }
  budget.credit_ns[device] -= cost_ns;
  --budget.launches_left;
  return true;
}

// For LaunchMode::kWatch: true if nothing is to be done.
inline bool WatchFast() {
  ThreadBudget& budget = thread_budget;
  if (budget.launches_left == 0 || !NothingIsNew()) return false;
  --budget.launches_left;
  return true;
}

// The slow path before a launch. Returns a sample that is to be ended after the launch, or nullptr.
// Charges and, if need be, sleeps. `may_sample` false: no event may stand beside this launch.
struct Sample;
Sample* AdmitSlow(const LaunchShape& shape, CUstream stream, StreamForm form, bool may_sample);

}  // namespace hami::preload
