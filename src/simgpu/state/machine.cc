// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/machine.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "simgpu/state/lock.h"
#include "simgpu/state/os.h"
#include "simgpu/state/shared_memory.h"

namespace hami::simgpu {
namespace {

constexpr size_t kLockMappingBytes = 4096;
constexpr char kDefaultState[] = "/run/hami/sim/default/state";

bool Join(const char* folder, size_t folder_bytes, const char* rest, char (&path)[kMaxStatePath]) {
  const size_t rest_bytes = strlen(rest);
  if (folder_bytes + rest_bytes + 1 > sizeof(path)) return false;
  memcpy(path, folder, folder_bytes);
  memcpy(path + folder_bytes, rest, rest_bytes + 1);
  return true;
}

bool Exists(const char* path) {
  const int fd = os::OpenReadWrite(path);
  if (fd < 0) return false;
  os::Close(fd);
  return true;
}

// The file of the loaded object that contains an address. (dladdr would do, but it has moved
// between libraries and versions of glibc.)
struct ObjectSearch {
  uint64_t address;
  const char* name;
};
int LookAtObject(dl_phdr_info* info, size_t, void* data) {
  auto* search = static_cast<ObjectSearch*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    const uint64_t begin = info->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && search->address >= begin &&
        search->address < begin + segment.p_memsz) {
      search->name = info->dlpi_name;
      return 1;
    }
  }
  return 0;
}

void FreeClient(const Machine& machine, State& state, uint32_t slot) {
  Client& client = state.clients[slot];
  LeaveAllShared(machine, state, slot);
  for (uint32_t i = 0; i < state.contexts_high; ++i) {
    if (state.contexts[i].in_use != 0 && state.contexts[i].client == slot) CloseContext(state, i);
  }
  for (EventSlot& event : state.events) {
    if (event.client_plus_1 == slot + 1) event.client_plus_1 = 0;
  }
  for (uint32_t d = 0; d < state.config.device_count; ++d) {
    state.devices[d].used_bytes -= client.devices[d].used_bytes;
    client.devices[d] = {};
  }
  client.in_use = 0;
}

// A state from before a reboot: its clock is ahead of this boot's.
void RestartClocks(State& state, uint64_t now_ns) {
  if (state.created_ns <= now_ns) return;
  state.created_ns = now_ns;
  for (Device& device : state.devices) {
    device.now_ns = now_ns;
    device.load = {};
    device.current = -1;
  }
}

// A slot whose byte nobody holds, one that nobody has left something in if there is one: what a
// dead client has left can be reaped by everybody only as long as nobody holds its byte again.
bool LockSlot(int fd, Machine* machine) {
  for (uint32_t i = 0; i < 2 * kMaxClients; ++i) {
    const uint32_t slot = i % kMaxClients;
    const Client& client = machine->state->clients[slot];
    if (i < kMaxClients && __atomic_load_n(&client.in_use, __ATOMIC_RELAXED) != 0) continue;
    if (!os::TryLock(fd, kClientLockOffset + slot)) continue;
    machine->client = slot;
    return true;
  }
  return false;
}

// Whoever reaps sees the slot held from then on. The lock is held by a mapping, so that closing all
// descriptors changes nothing, and that mapping lies above all others: when a process ends, what is
// mapped above is let go first, as the kernel works today. So the memory of a client is gone before
// the locks of whoever else watches that process, as a real driver's is, which goes with its
// descriptors, before any mapping.
bool TakeSlot(const char* path, Machine* machine) {
  const int fd = os::OpenReadWrite(path);
  if (fd < 0) return false;
  if (LockSlot(fd, machine)) machine->lock_mapping = os::MapOnTop(fd);
  os::Close(fd);
  return machine->lock_mapping != nullptr;
}

// Frees what the slot's last holder left, and writes the new one's record.
void EnterClient(const Machine& machine, bool observer) {
  State& state = *machine.state;
  const LockGuard guard(machine);
  RestartClocks(state, os::NowNs());
  if (state.clients_high <= machine.client) state.clients_high = machine.client + 1;
  Client& client = state.clients[machine.client];
  if (client.in_use != 0) FreeClient(machine, state, machine.client);
  const uint32_t generation = client.generation + 1;
  memset(&client, 0, sizeof(client));
  client.generation = generation;
  client.observer = observer ? 1 : 0;
  client.pid = os::ProcessId();
  client.host_pid = os::OuterProcessId();
  client.pid_namespace = os::PidNamespace(0);
  client.attached_ns = os::NowNs();
  client.in_use = 1;
  ReapDead(machine, state);  // the work of the dead is not to run beside the newcomer's
}

}  // namespace

bool FindState(const void* address_in_library, char (&path)[kMaxStatePath]) {
  const char* folder = getenv("HAMI_SIM");
  if (folder != nullptr && *folder != 0) return Join(folder, strlen(folder), "/state", path);
  ObjectSearch search = {reinterpret_cast<uint64_t>(address_in_library), nullptr};
  dl_iterate_phdr(LookAtObject, &search);
  const char* slash = search.name == nullptr ? nullptr : strrchr(search.name, '/');
  if (slash != nullptr &&
      Join(search.name, static_cast<size_t>(slash - search.name), "/../state", path) &&
      Exists(path)) {
    return true;
  }
  return Join(kDefaultState, 0, kDefaultState, path);
}

AttachStatus Attach(const char* path, bool observer, Machine* machine) {
  Machine made;
  if (!Join(path, strlen(path), "", made.path)) return AttachStatus::kNoState;
  const int fd = os::OpenReadWrite(path);
  if (fd < 0) return AttachStatus::kNoState;
  uint64_t bytes = 0;
  AttachStatus status = AttachStatus::kWrongState;
  if (os::FileIdentity(fd, &made.file_device, &made.file_inode, &bytes) && bytes == sizeof(State)) {
    made.state = static_cast<State*>(os::MapShared(fd, sizeof(State)));
    if (made.state != nullptr && made.state->magic == kStateMagic &&
        made.state->version == kStateVersion) {
      status = AttachStatus::kNoSlot;
      if (TakeSlot(path, &made)) {
        status = OpenOwner(&made) ? AttachStatus::kOk : AttachStatus::kNoLocks;
      }
    }
  }
  os::Close(fd);
  if (status == AttachStatus::kOk) {
    EnterClient(made, observer);
    *machine = made;
    return status;
  }
  CloseOwner(&made);
  if (made.lock_mapping != nullptr) os::Unmap(made.lock_mapping, kLockMappingBytes);
  if (made.state != nullptr) os::Unmap(made.state, sizeof(State));
  return status;
}

void Detach(Machine* machine) {
  if (machine->state == nullptr) return;
  {
    LockGuard guard(*machine);
    FreeClient(*machine, *machine->state, machine->client);
  }
  CloseOwner(machine);
  os::Unmap(machine->lock_mapping, kLockMappingBytes);
  os::Unmap(machine->state, sizeof(State));
  machine->state = nullptr;
}

int ReapDead(const Machine& machine, State& state) {
  int fd = -1;
  int reaped = 0;
  for (uint32_t slot = 0; slot < state.clients_high; ++slot) {
    if (state.clients[slot].in_use == 0 || slot == machine.client) continue;
    if (fd < 0 && (fd = ReopenState(machine)) < 0) return 0;
    if (os::IsLocked(fd, kClientLockOffset + slot)) continue;
    FreeClient(machine, state, slot);
    ++state.reaped;
    ++reaped;
  }
  if (fd >= 0) os::Close(fd);
  ReapShared(machine, state);
  return reaped;
}

void Repair(State& state) {
  const uint32_t devices = state.config.device_count;
  for (uint32_t d = 0; d < devices; ++d) {
    uint64_t used = 0;
    for (uint32_t c = 0; c < state.clients_high; ++c) {
      if (state.clients[c].in_use != 0) used += state.clients[c].devices[d].used_bytes;
    }
    for (uint32_t i = 0; i < state.shared_high; ++i) {
      if (state.shared[i].in_use != 0 && state.shared[i].device == d) used += state.shared[i].bytes;
    }
    state.devices[d].used_bytes = used;
    for (uint32_t c = 0; c < state.clients_high; ++c) state.clients[c].devices[d].contexts = 0;
    for (uint64_t& word : state.devices[d].active) word = 0;
  }
  for (uint32_t i = 0; i < state.contexts_high; ++i) {
    Context& context = state.contexts[i];
    if (context.in_use == 0) continue;
    ++state.clients[context.client].devices[context.device].contexts;
    context.pending = 0;
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      if (context.lanes[lane].submitted != context.lanes[lane].completed) {
        context.pending |= 1U << lane;
      }
    }
    if (context.pending != 0) state.devices[context.device].active[i / 64] |= uint64_t{1} << i % 64;
  }
  ++state.repairs;
}

uint64_t UsableBytes(const DeviceConfig& device) {
  return device.memory_bytes - device.reserved_bytes;
}

bool ReserveMemory(const Machine& machine, State& state, uint32_t device, uint64_t bytes) {
  Device& target = state.devices[device];
  if (target.faults.failing_requests > 0) {
    --target.faults.failing_requests;
    return false;
  }
  const uint64_t usable = UsableBytes(state.config.devices[device]);
  const auto fits = [&] { return bytes <= usable && target.used_bytes <= usable - bytes; };
  if (!fits() && (ReapDead(machine, state) == 0 || !fits())) return false;
  // The record first: after a death in between the total is computed from it.
  state.clients[machine.client].devices[device].used_bytes += bytes;
  target.used_bytes += bytes;
  if (target.used_bytes > target.used_high_bytes) {
    ReapDead(machine, state);  // what the dead left does not count
    if (target.used_bytes > target.used_high_bytes) target.used_high_bytes = target.used_bytes;
  }
  return true;
}

void ReleaseMemory(const Machine& machine, State& state, uint32_t device, uint64_t bytes) {
  state.clients[machine.client].devices[device].used_bytes -= bytes;
  state.devices[device].used_bytes -= bytes;
}

int OpenContext(const Machine& machine, State& state, uint32_t device) {
  const auto find = [&]() -> int {
    for (uint32_t i = 0; i < kMaxContexts; ++i) {
      if (state.contexts[i].in_use == 0) return static_cast<int>(i);
    }
    return -1;
  };
  int found = find();
  if (found < 0 && ReapDead(machine, state) > 0) found = find();
  if (found < 0) return -1;
  Context& context = state.contexts[found];
  const uint32_t generation = context.generation + 1;
  memset(&context, 0, sizeof(context));
  context.generation = generation;
  context.client = machine.client;
  context.device = device;
  context.next_ticket = 1;
  if (state.contexts_high <= static_cast<uint32_t>(found)) {
    state.contexts_high = static_cast<uint32_t>(found) + 1;
  }
  context.in_use = 1;
  ++state.clients[machine.client].devices[device].contexts;
  return found;
}

void CloseContext(State& state, uint32_t index) {
  Context& context = state.contexts[index];
  Device& device = state.devices[context.device];
  ++context.generation;
  context.in_use = 0;
  context.pending = 0;
  device.active[index / 64] &= ~(uint64_t{1} << index % 64);
  if (device.current == static_cast<int32_t>(index)) device.current = -1;
  uint32_t& count = state.clients[context.client].devices[context.device].contexts;
  if (count > 0) --count;
}

int OpenEventSlot(const Machine& machine, State& state) {
  for (uint32_t tried = 0; tried < kMaxEventSlots; ++tried) {
    const uint32_t slot = state.event_hint++ % kMaxEventSlots;
    EventSlot& event = state.events[slot];
    if (event.client_plus_1 != 0) continue;
    event.client_plus_1 = machine.client + 1;
    event.done_ns = 0;
    return static_cast<int>(slot);
  }
  return -1;
}

void CloseEventSlot(State& state, uint32_t slot) {
  // A mark that is still queued carries the old number and will not be written.
  ++state.events[slot].record;
  state.events[slot].client_plus_1 = 0;
}

}  // namespace hami::simgpu
