// SPDX-License-Identifier: Apache-2.0
//
// Faults on request: what a tester does to a machine that runs (hami sim fault), and what the
// simulated drivers make of it. A fault lasts until it is cleared; errors that were counted and
// events that were raised stay.
//
// Functions that take a `State&` need the lock (LockGuard); the others take it.

#pragma once

#include <stdint.h>

#include "simgpu/state/machine.h"

namespace hami::simgpu {

// As NVML's nvmlEventType...
inline constexpr uint64_t kEventEccCorrected = 0x1;
inline constexpr uint64_t kEventEccUncorrected = 0x2;
inline constexpr uint64_t kEventXid = 0x8;

// The XID that goes with a GPU that has fallen off the bus (NVIDIA's list of XID errors).
inline constexpr uint64_t kXidOffTheBus = 79;

void RaiseEvent(State& state, uint32_t device, uint64_t type, uint64_t data);
// Raises its XID too, unless it is lost already.
void LoseDevice(State& state, uint32_t device);
// Errors are counted before the event is raised: who hears of them finds them.
void AddEccErrors(State& state, uint32_t device, uint64_t corrected, uint64_t uncorrected);
void SlowDown(State& state, uint32_t device, uint64_t ns);
void FailRequests(State& state, uint32_t device, uint32_t count);
void TurnDriverOff(State& state);
void ClearDeviceFaults(State& state, uint32_t device);
void TurnDriverOn(State& state);

bool IsLost(const State& state, uint32_t device);

// For the drivers, at the beginning of every call that uses a device.
struct MetFaults {
  bool lost;
  uint64_t slow_ns;
};
MetFaults MeetFaults(const Machine& machine, uint32_t device);
bool IsDriverOff(const Machine& machine);

// The first event that was raised as number `from` or later and that `wanted` takes. False: none;
// then `bell` is what FutexWait on the state's event_bell may wait for. `from` is moved behind what
// was looked at; events that were overwritten meanwhile are left out.
template <typename Wanted>
bool FindEvent(const Machine& machine, uint64_t* from, DeviceEvent* event, uint32_t* bell,
               const Wanted& wanted) {
  const LockGuard guard(machine);
  const State& state = *machine.state;
  if (state.events_raised > *from + kDeviceEvents) *from = state.events_raised - kDeviceEvents;
  *bell = state.event_bell;
  while (*from < state.events_raised) {
    const uint64_t number = (*from)++;
    *event = state.device_events[number % kDeviceEvents];
    if (wanted(number, *event)) return true;
  }
  return false;
}

}  // namespace hami::simgpu
