// SPDX-License-Identifier: Apache-2.0
//
// The bucket of GPU time of one share on one device: a generic cell rate algorithm (as of ITU-T
// I.371) in one atomic word of the region. The word holds the moment at which everything granted so
// far has been earned, and the rate at which it is being earned. A grant of g nanoseconds of GPU
// time at r percent moves the moment g * 100 / r further; the caller may go when the moment before
// its own grant has come. Idle time is saved up to a burst, no more.
//
// A rate that changes (new limits, the end of a burst beside idle neighbours) stretches what is
// still to be earned and nothing else: the GPU time that was granted ahead stays the same.
//
// No refill, no owner: a process that dies leaves nothing to repair. Any number of threads and
// processes; no lock.

#pragma once

#include <cstdint>

#include "api/region/region.h"

namespace hami::preload {

// Wall time that a share may save up: enough to catch up after a late wake-up, little enough that a
// second is never off by more than a few points.
inline constexpr uint64_t kBurstNs = 40'000'000;

// The moment is kept in units of this many nanoseconds; the bits below are the rate, 1 to 100.
// 0: not known, as in a new region.
inline constexpr uint64_t kMomentUnitNs = 128;

// Grants `gpu_ns` at `rate_pct` (1 to 100) and tells when the caller may go, in nanoseconds of
// CLOCK_MONOTONIC; not after `now_ns` if at once. At most `saved_ns` of idle time counts.
uint64_t TakeGpuTime(api::DeviceExtension& device, uint64_t gpu_ns, uint32_t rate_pct,
                     uint64_t now_ns, uint64_t saved_ns = kBurstNs);

// The moment up to which the bucket is taken, without taking anything.
uint64_t NextFreeNs(const api::DeviceExtension& device);

// From now on everything is earned at `rate_pct`.
void FollowRate(api::DeviceExtension& device, uint32_t rate_pct, uint64_t now_ns);

// What becomes of a moment when the rate changes at `now_ns`. A moment that has come stays.
uint64_t MomentAtRate(uint64_t moment_ns, uint32_t from_pct, uint32_t to_pct, uint64_t now_ns);

}  // namespace hami::preload
