// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/faults.h"

#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

// Before a fault begins and after one has ended: on for too long costs time, off too early a fault.
void BeginFaults(State& state) { __atomic_store_n(&state.faults_on, 1, __ATOMIC_RELEASE); }

void EndFaults(State& state) {
  bool any = state.driver_off != 0;
  for (uint32_t d = 0; d < state.config.device_count; ++d) {
    any = any || state.devices[d].faults.lost != 0 || state.devices[d].faults.slow_ns != 0;
  }
  if (!any) __atomic_store_n(&state.faults_on, 0, __ATOMIC_RELEASE);
}

}  // namespace

void RaiseEvent(State& state, uint32_t device, uint64_t type, uint64_t data) {
  // The event first: it is there when its number says so.
  state.device_events[state.events_raised % kDeviceEvents] = {type, data, device, 0};
  ++state.events_raised;
  __atomic_fetch_add(&state.event_bell, 1, __ATOMIC_RELEASE);
  os::FutexWake(&state.event_bell, INT32_MAX);
}

void LoseDevice(State& state, uint32_t device) {
  if (state.devices[device].faults.lost != 0) return;
  BeginFaults(state);
  state.devices[device].faults.lost = 1;
  RaiseEvent(state, device, kEventXid, kXidOffTheBus);
}

void AddEccErrors(State& state, uint32_t device, uint64_t corrected, uint64_t uncorrected) {
  DeviceFaults& faults = state.devices[device].faults;
  faults.ecc_corrected += corrected;
  faults.ecc_uncorrected += uncorrected;
  if (corrected != 0) RaiseEvent(state, device, kEventEccCorrected, 0);
  if (uncorrected != 0) RaiseEvent(state, device, kEventEccUncorrected, 0);
}

void SlowDown(State& state, uint32_t device, uint64_t ns) {
  BeginFaults(state);
  state.devices[device].faults.slow_ns = ns;
  EndFaults(state);
}

void FailRequests(State& state, uint32_t device, uint32_t count) {
  state.devices[device].faults.failing_requests = count;
}

void TurnDriverOff(State& state) {
  BeginFaults(state);
  state.driver_off = 1;
}

void TurnDriverOn(State& state) {
  state.driver_off = 0;
  EndFaults(state);
}

void ClearDeviceFaults(State& state, uint32_t device) {
  DeviceFaults& faults = state.devices[device].faults;
  faults.lost = 0;
  faults.failing_requests = 0;
  faults.slow_ns = 0;
  EndFaults(state);
}

bool IsLost(const State& state, uint32_t device) {
  const uint32_t parent_plus_1 = state.config.devices[device].parent_plus_1;
  if (parent_plus_1 != 0 && state.devices[parent_plus_1 - 1].faults.lost != 0) return true;
  return state.driver_off != 0 || state.devices[device].faults.lost != 0;
}

MetFaults MeetFaults(const Machine& machine, uint32_t device) {
  if (__atomic_load_n(&machine.state->faults_on, __ATOMIC_ACQUIRE) == 0) return {false, 0};
  const LockGuard guard(machine);
  const State& state = *machine.state;
  return {IsLost(state, device), state.devices[device].faults.slow_ns};
}

bool IsDriverOff(const Machine& machine) {
  const LockGuard guard(machine);
  return machine.state->driver_off != 0;
}

}  // namespace hami::simgpu
