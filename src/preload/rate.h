// SPDX-License-Identifier: Apache-2.0
//
// The rate at which a share earns GPU time on a device right now: its compute limit, nothing, or,
// with the burst policy beside idle neighbours, all of the device.
//
// A burst begins when the host's agent has seen the device idle but for this share (it needs about
// a second of that), and ends within milliseconds: what the share launches is measured all the
// time, and an interval that has become longer by a time slice means that a neighbour is back.
// Without an agent there is no burst.

#pragma once

#include <cstdint>

#include "preload/costs.h"
#include "preload/devices.h"

namespace hami::preload {

// Percent; 0: no limit acts.
uint32_t RateNow(const DevicePart& part, uint64_t now_ns);

// Whether the rate is all of the device only because the neighbours are idle.
bool IsBursting(const DevicePart& part, uint64_t now_ns);

// A neighbour was seen: no burst for a while, in all processes of the share.
void EndBurst(const DevicePart& part, uint64_t now_ns);

// What an agent that looks at the device sees.
Neighbours NeighboursOf(const DevicePart& part);

// How much of idle time counts at a rate. In a burst no more may be under way than what a neighbour
// can be asked to wait for.
uint64_t SavedNs(bool bursting);

// Whether an interval is so much longer than the launch alone that a time slice of somebody else
// must lie in it.
bool ContainsForeignSlice(uint64_t interval_ns, uint64_t alone_ns);

inline api::DeviceExtension& BucketOf(const DevicePart& part) {
  return part.share->mapping.region->ext.devices[part.index];
}

}  // namespace hami::preload
