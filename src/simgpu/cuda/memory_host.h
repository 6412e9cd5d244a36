// SPDX-License-Identifier: Apache-2.0
//
// Host memory that the driver knows: pinned, registered and managed. It is ordinary memory of the
// process, the same address for host and devices. Managed memory takes memory of a device only
// where it was prefetched to it: nothing here sees a kernel touch a page.

#pragma once

#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {

inline constexpr uint64_t kHostPage = 4096;

// Where managed memory is, or should be. A device is one of the machine.
inline constexpr int32_t kNowhere = -2;
inline constexpr int32_t kOnHost = -1;

struct Pool;

struct HostMemory {
  Allocation allocation;  // physical_bytes: of devices, where it was prefetched
  unsigned flags;
  bool registered;     // the program's own memory
  Pool* pool;          // whose block it is; nullptr: none's
  int32_t* residence;  // of managed memory: kOnHost or the device, for every 2 MiB
  int32_t prefetched;  // last, as a whole; kNowhere: never, or only in part
  int32_t preferred;
  bool read_mostly;
  uint64_t accessed_by;  // bit per device of the machine
};

// The memory that holds the address; nullptr: none.
HostMemory* FindHostMemory(uint64_t address);
// True if nothing that is known touches [address, +bytes).
bool IsUnknownHost(uint64_t address, uint64_t bytes);

// Enters memory; `address` 0: new memory is taken for it. nullptr: there is none.
HostMemory* EnterHost(Context* context, uint64_t address, uint64_t bytes, MemoryKind kind);
// Removes it, and gives back what EnterHost took.
void RemoveHost(HostMemory* memory);

// Moves [address, +bytes) of managed memory (managed.cc); what finds no room on the device stays on
// the host. Returns how many bytes moved.
uint64_t MoveManaged(HostMemory* memory, uint64_t address, uint64_t bytes, int32_t to);

}  // namespace hami::simgpu::cuda
