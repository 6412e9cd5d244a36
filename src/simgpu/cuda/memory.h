// SPDX-License-Identifier: Apache-2.0
//
// Device memory as a process sees it: addresses, what lies at them, and their content.
//
// Addresses come from one range that the process reserves, so they never meet host memory and an
// address says at once whether it is a device's. A map with an entry for every 2 MiB of the range
// says what lies there. Content is private to the process, made on the first write and capped
// (MachineConfig::content_cap_bytes). All functions need the process' lock.

#pragma once

#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {

inline constexpr uint64_t kChunkBytes = 2 * kMib;
inline constexpr uint64_t kAlignment = 512;  // of small allocations

enum class MemoryKind : uint8_t {
  kPlain,
  kPool,
  kMapped,
  kExternal,
  kManaged,
  kHost,
  kModule,
  kReserved,
  kArray,
  kGraph,
  kImported,
  kGraphics
};

// One allocation, or one mapping.
struct Allocation {
  uint64_t base;
  uint64_t bytes;           // as asked for
  uint64_t physical_bytes;  // as taken from the device
  Context* context;         // that it goes with; nullptr: of the process
  uint32_t device;
  MemoryKind kind;
  uint64_t buffer_id;
  uint32_t shared_plus_1;  // its SharedMemory; 0: this process' own
  void* extra;             // of the kind: Pool, Physical
  Allocation* next;        // in the owner's list (host and managed memory, memory_host.cc)
  Allocation* previous;
};

// Takes physical memory of the device, with the machine's lock: false when it does not fit.
bool TakePhysical(uint32_t device, uint64_t bytes);
void GivePhysical(uint32_t device, uint64_t bytes);

// Addresses without memory, a multiple of 2 MiB; 0 when there are none left.
uint64_t ReserveAddresses(uint64_t bytes);
void ReleaseAddresses(uint64_t base, uint64_t bytes);
bool IsDeviceAddress(uint64_t address);

// Enters and removes an allocation that begins on a chunk of its own and covers whole chunks.
void EnterAllocation(Allocation* allocation);
void RemoveAllocation(Allocation* allocation);  // its content is gone

// What lies at an address, small allocations included. False: nothing.
bool FindAllocation(uint64_t address, Allocation* found);
// The entry itself, for allocations with chunks of their own (pools, mappings, reservations).
Allocation* FindEntered(uint64_t address);

// Plain memory of a context.
CUresult AllocatePlain(Context* context, uint64_t bytes, MemoryKind kind, uint64_t* address);
CUresult FreePlain(uint64_t address);

// Content. IsBacked: false when part of [address, address+bytes) is no device memory.
bool IsBacked(uint64_t address, uint64_t bytes);
void ReadContent(uint64_t address, void* out, uint64_t bytes);
void WriteContent(uint64_t address, const void* in, uint64_t bytes);
void CopyContent(uint64_t to, uint64_t from, uint64_t bytes);
// `pattern` of 1, 2 or 4 bytes.
void FillContent(uint64_t address, uint32_t pattern, uint32_t width, uint64_t count);
void DiscardContent(uint64_t address, uint64_t bytes);
// A file in the place of the content, which `keep` writes there first, until it is discarded.
// Content beyond the cap stays private.
void MapContent(uint64_t address, uint64_t bytes, int fd, bool keep);

// Host and managed memory (memory_host.cc): nullptr where the address is in none of it.
Allocation* FindHost(uint64_t address);

// True if the address was managed memory, which is freed then.
bool FreeManaged(uint64_t address);
// The same of a buffer on imported memory (external_memory.cc).
bool FreeExternal(uint64_t address);
// Memory of another process' pool (ipc_pools.cc). False: it is none.
bool FreeImportedPointer(uint64_t address);
// What was imported of the device goes.
void ReleaseImportedPointers(uint32_t device);
void ReleaseHostMemory(Context* context);

// Memory that only its owner frees: of a module (modules.cc), of an array (arrays.cc).
void FreeOwnedMemory(uint64_t address);

// Forgets what a context has opened of others (ipc.cc); the memory goes with the context's.
void ForgetImports(const Context* context);

// Memory that is freed in stream order (pools.cc): false if the address is none of it.
bool FreePooledNow(Entry& entry, uint64_t address, CUresult* result);
// Memory that a launch of a graph took (graph_allocations.cc): likewise.
bool FreeGraphMemory(uint64_t address, CUresult* result);
void ReleaseGraphMemory(Context* context);
// A synchronisation point of the device was passed: pools may give memory back.
void TrimPoolsAfterSynchronisation(uint32_t device);
// What lies at an address of a pool's segment. False: nothing that is allocated.
bool FindInPool(const Allocation& segment, uint64_t address, Allocation* found);
void ReleasePools(uint32_t device);

}  // namespace hami::simgpu::cuda
