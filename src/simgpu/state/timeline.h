// SPDX-License-Identifier: Apache-2.0
//
// The devices' time. No device has a thread: whoever looks computes, under the lock, what has
// happened up to now. Contexts with pending work get time slices in turn and give up at once when
// they have nothing to run; within the running context streams go on in order, and kernels of
// different streams run together as long as their demands fit on the multiprocessors. So an
// interval between two events contains the neighbours' slices, as on real hardware.
//
// Times are CLOCK_MONOTONIC nanoseconds. All functions need the lock.

#pragma once

#include <stdint.h>

#include "simgpu/state/layout.h"

namespace hami::simgpu {

// Appends to a lane of an open context; advance the device first. False: the lane is full.
bool Submit(State& state, uint32_t context, uint32_t lane, const WorkItem& item, uint64_t now_ns);

// Everything submitted to the lane so far.
Place EndOfLane(const State& state, uint32_t context, uint32_t lane);
bool IsReached(const State& state, const Place& place);

void Advance(State& state, uint32_t device, uint64_t now_ns);
// All devices with pending work: what is waited for may lie on another one.
void AdvanceAll(State& state, uint64_t now_ns);

// A time before which the place cannot be reached, later than now_ns. For sleeping.
uint64_t EarliestReach(const State& state, const Place& place, uint64_t now_ns);

// Work of the last full sampling period and of the one before it, 0 to kLoadPeriodNs.
uint64_t BusyInLastPeriod(const LoadWindow& window, uint64_t now_ns);

}  // namespace hami::simgpu
