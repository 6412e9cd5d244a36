// SPDX-License-Identifier: Apache-2.0
//
// The bucket of GPU time of one share on one device: a generic cell rate algorithm (as of ITU-T
// I.371) in one atomic word of the region. The word holds the moment at which everything granted so
// far has been earned at the share's rate. A grant of g nanoseconds of GPU time at r percent moves
// it g * 100 / r further; the caller may go when the moment before its own grant has come. Idle
// time is saved up to kBurstNs, no more.
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

// Grants `gpu_ns` at `rate_pct` (1 to 100) and tells when the caller may go, in nanoseconds of
// CLOCK_MONOTONIC; not after `now_ns` if at once.
uint64_t TakeGpuTime(api::DeviceExtension& device, uint64_t gpu_ns, uint32_t rate_pct,
                     uint64_t now_ns);

// The moment up to which the bucket is taken, without taking anything.
uint64_t NextFreeNs(const api::DeviceExtension& device);

}  // namespace hami::preload
