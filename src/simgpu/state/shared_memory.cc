// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/shared_memory.h"

#include <string.h>

#include "simgpu/state/lock.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

uint64_t BitOf(uint32_t client) { return uint64_t{1} << client % 64; }
bool IsHolder(const SharedMemory& memory, uint32_t client) {
  return (memory.holders[client / 64] & BitOf(client)) != 0;
}

// The number of a holder + 1; 0: none.
uint32_t AnyHolder(const SharedMemory& memory) {
  for (uint32_t client = 0; client < kMaxClients; ++client) {
    if (IsHolder(memory, client)) return client + 1;
  }
  return 0;
}

bool IsExported(const Machine& machine, uint32_t index) {
  const int fd = ReopenState(machine);
  if (fd < 0) return true;
  const bool locked = os::IsLocked(fd, kSharedLockOffset + index);
  os::Close(fd);
  return locked;
}

void GiveBackUnheld(const Machine& machine, State& state, uint32_t index) {
  SharedMemory& memory = state.shared[index];
  memory.owner_plus_1 = AnyHolder(memory);
  if (memory.owner_plus_1 != 0 || IsExported(machine, index)) return;
  memory.in_use = 0;
  state.devices[memory.device].used_bytes -= memory.bytes;
}

void Leave(const Machine& machine, State& state, uint32_t index, uint32_t client) {
  SharedMemory& memory = state.shared[index];
  memory.holders[client / 64] &= ~BitOf(client);
  if (memory.owner_plus_1 == client + 1 || memory.owner_plus_1 == 0) {
    GiveBackUnheld(machine, state, index);
  }
}

}  // namespace

int ShareMemory(const Machine& machine, State& state, uint32_t device, uint64_t bytes) {
  for (uint32_t index = 0; index < kMaxShared; ++index) {
    SharedMemory& memory = state.shared[index];
    if (memory.in_use != 0 || IsExported(machine, index)) continue;
    const uint32_t generation = (memory.generation + 1) & kSharedGenerations;
    memset(&memory, 0, sizeof(memory));
    memory.generation = generation;
    memory.device = device;
    memory.bytes = bytes;
    memory.owner_plus_1 = machine.client + 1;
    memory.holders[machine.client / 64] = BitOf(machine.client);
    if (state.shared_high <= index) state.shared_high = index + 1;
    memory.in_use = 1;
    // From one record to the other; the device's total stays.
    state.clients[machine.client].devices[device].used_bytes -= bytes;
    return static_cast<int>(index);
  }
  return -1;
}

bool HoldShared(const Machine& machine, State& state, uint32_t index, uint32_t generation) {
  if (index >= kMaxShared) return false;
  SharedMemory& memory = state.shared[index];
  if (memory.in_use == 0 || memory.generation != generation) return false;
  memory.holders[machine.client / 64] |= BitOf(machine.client);
  if (memory.owner_plus_1 == 0) memory.owner_plus_1 = machine.client + 1;
  return true;
}

void LeaveShared(const Machine& machine, State& state, uint32_t index) {
  Leave(machine, state, index, machine.client);
}

void LeaveAllShared(const Machine& machine, State& state, uint32_t client) {
  for (uint32_t index = 0; index < state.shared_high; ++index) {
    const SharedMemory& memory = state.shared[index];
    if (memory.in_use != 0 && IsHolder(memory, client)) Leave(machine, state, index, client);
  }
}

void ReapShared(const Machine& machine, State& state) {
  for (uint32_t index = 0; index < state.shared_high; ++index) {
    const SharedMemory& memory = state.shared[index];
    if (memory.in_use != 0 && memory.owner_plus_1 == 0) GiveBackUnheld(machine, state, index);
  }
}

uint64_t HeldBytes(const State& state, uint32_t client, uint32_t device) {
  uint64_t bytes = state.clients[client].devices[device].used_bytes;
  for (uint32_t index = 0; index < state.shared_high; ++index) {
    const SharedMemory& memory = state.shared[index];
    if (memory.in_use != 0 && memory.device == device && memory.owner_plus_1 == client + 1) {
      bytes += memory.bytes;
    }
  }
  return bytes;
}

}  // namespace hami::simgpu
