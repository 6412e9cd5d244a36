// SPDX-License-Identifier: Apache-2.0
//
// A process' connection to the simulated machine: the mapped state, its client slot, the lock, and
// memory accounting. Errors are values; nothing here exits or prints.
//
// Threading: Attach once per process; everything else from any thread. Functions that take a
// `State&` need the lock (LockGuard), unless they say otherwise.

#pragma once

#include <stdint.h>

#include "simgpu/state/layout.h"

namespace hami::simgpu {

inline constexpr int kMaxStatePath = 1024;

enum class AttachStatus { kOk, kNoState, kWrongState, kNoSlot, kNoLocks };

struct Owner;  // of the lock: lock.cc

struct Machine {
  State* state = nullptr;
  Owner* owner = nullptr;
  void* lock_mapping = nullptr;  // pins the open file that holds the client's lock
  uint32_t client = 0;
  bool owner_survives_fork = false;  // on kernels without MADV_WIPEONFORK
  uint64_t file_device = 0;
  uint64_t file_inode = 0;
  char path[kMaxStatePath] = {};
};

// Where the state is: $HAMI_SIM/state; else ../state from the folder of the library that contains
// `address_in_library`; else /run/hami/sim/default/state. False: the path is too long.
bool FindState(const void* address_in_library, char (&path)[kMaxStatePath]);

// Maps the state and takes a client slot, which is held until the process and every child that it
// forks meanwhile are gone (not across exec; closing all descriptors changes nothing).
AttachStatus Attach(const char* path, bool observer, Machine* machine);
// For tests and short-lived readers: gives the slot back.
void Detach(Machine* machine);

// The lock. A dead owner's lock is taken over and the state repaired.
class LockGuard {
 public:
  explicit LockGuard(const Machine& machine);
  ~LockGuard();
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  const Machine& machine_;
};

// Frees what clients had that nobody holds any more. Returns how many. Opens the file:
// microseconds.
int ReapDead(const Machine& machine, State& state);

// Computes every total again from the clients' records.
void Repair(State& state);

// Memory of a device, in whole granules by the caller's rounding. False: does not fit, also after
// dead clients were reaped, or is to fail (faults.h); then nothing is taken.
bool ReserveMemory(const Machine& machine, State& state, uint32_t device, uint64_t bytes);
void ReleaseMemory(const Machine& machine, State& state, uint32_t device, uint64_t bytes);

// What CUDA calls total: without what the driver keeps.
uint64_t UsableBytes(const DeviceConfig& device);

// A context with its queues. -1: none free.
int OpenContext(const Machine& machine, State& state, uint32_t device);
void CloseContext(State& state, uint32_t context);

// A slot for an event with timing. -1: none free.
int OpenEventSlot(const Machine& machine, State& state);
void CloseEventSlot(State& state, uint32_t slot);

}  // namespace hami::simgpu
