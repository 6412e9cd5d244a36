// SPDX-License-Identifier: Apache-2.0
//
// Physical memory that several processes hold (layout.h, SharedMemory). All functions need the
// machine's lock. What dies in the middle of one leaves it to ReapShared.

#pragma once

#include "simgpu/state/machine.h"

namespace hami::simgpu {

// Memory of this client becomes shared, with this client as its holder. -1: no place.
int ShareMemory(const Machine& machine, State& state, uint32_t device, uint64_t bytes);

// This client holds it too. False: it is not there any more.
bool HoldShared(const Machine& machine, State& state, uint32_t index, uint32_t generation);
// This client holds it no more.
void LeaveShared(const Machine& machine, State& state, uint32_t index);

// What clients that are gone held, and descriptors that were closed.
void LeaveAllShared(const Machine& machine, State& state, uint32_t client);
void ReapShared(const Machine& machine, State& state);

// What NVML says that a client uses of a device.
uint64_t HeldBytes(const State& state, uint32_t client, uint32_t device);

}  // namespace hami::simgpu
