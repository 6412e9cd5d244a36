// SPDX-License-Identifier: Apache-2.0
//
// Pinned and registered host memory, and the table of all host memory that the driver knows.

#include "simgpu/cuda/memory_host.h"

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/streams.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

constexpr unsigned kHostAllocFlags = 7;  // portable, mapped, write-combined
constexpr unsigned kRegisterFlags = 15;  // portable, mapped, I/O memory, read-only

// Sorted by address. Copies look every address up that is none of a device.
struct Table {
  HostMemory** entries;
  uint64_t count;
  uint64_t capacity;
};
Table table;

// The first entry that ends behind the address.
uint64_t FirstBehind(uint64_t address) {
  uint64_t low = 0;
  uint64_t high = table.count;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    const Allocation& allocation = table.entries[middle]->allocation;
    if (allocation.base + allocation.bytes <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void Insert(HostMemory* memory) {
  if (table.count == table.capacity) {
    const uint64_t capacity = table.capacity == 0 ? 64 : table.capacity * 2;
    auto** entries = static_cast<HostMemory**>(AllocateZeroed(capacity * sizeof(HostMemory*)));
    if (table.count != 0) memcpy(entries, table.entries, table.count * sizeof(HostMemory*));
    Deallocate(table.entries);
    table.entries = entries;
    table.capacity = capacity;
  }
  const uint64_t at = FirstBehind(memory->allocation.base);
  memmove(&table.entries[at + 1], &table.entries[at], (table.count - at) * sizeof(HostMemory*));
  table.entries[at] = memory;
  ++table.count;
}

CUresult AllocateHost(void** out, uint64_t bytes, unsigned flags) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || bytes == 0 || (flags & ~kHostAllocFlags) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  HostMemory* memory = EnterHost(entry.context, 0, bytes, MemoryKind::kHost);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  memory->flags = flags;
  *out = reinterpret_cast<void*>(memory->allocation.base);
  return CUDA_SUCCESS;
}

CUresult RegisterHost(void* pointer, uint64_t bytes, unsigned flags) {
  HAMI_ENTER(Need::kContext);
  const auto address = reinterpret_cast<uint64_t>(pointer);
  if (pointer == nullptr || bytes == 0 || (flags & ~kRegisterFlags) != 0 ||
      address + bytes < address || IsDeviceAddress(address)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  if (!IsUnknownHost(address, bytes)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  HostMemory* memory = EnterHost(entry.context, address, bytes, MemoryKind::kHost);
  memory->flags = flags;
  return CUDA_SUCCESS;
}

}  // namespace

HostMemory* FindHostMemory(uint64_t address) {
  const uint64_t at = FirstBehind(address);
  if (at == table.count || table.entries[at]->allocation.base > address) return nullptr;
  return table.entries[at];
}

bool IsUnknownHost(uint64_t address, uint64_t bytes) {
  const uint64_t at = FirstBehind(address);
  return at == table.count || table.entries[at]->allocation.base >= address + bytes;
}

HostMemory* EnterHost(Context* context, uint64_t address, uint64_t bytes, MemoryKind kind) {
  const bool registered = address != 0;
  if (!registered) {
    if (bytes > UINT64_MAX - kHostPage) return nullptr;
    address = reinterpret_cast<uint64_t>(os::MapPrivate(RoundUp(bytes, kHostPage), true));
    if (address == 0) return nullptr;
    // What was registered here was unmapped meanwhile, or this address would not have been free.
    while (!IsUnknownHost(address, bytes)) RemoveHost(table.entries[FirstBehind(address)]);
  }
  auto* memory = static_cast<HostMemory*>(AllocateZeroed(sizeof(HostMemory)));
  memory->registered = registered;
  memory->prefetched = kNowhere;
  memory->preferred = kNowhere;
  Allocation& allocation = memory->allocation;
  allocation.base = address;
  allocation.bytes = bytes;
  allocation.context = context;
  allocation.device = context->device;
  allocation.kind = kind;
  allocation.buffer_id = ++process.next_id;
  allocation.extra = memory;
  Insert(memory);
  return memory;
}

void RemoveHost(HostMemory* memory) {
  const Allocation& allocation = memory->allocation;
  const uint64_t at = FirstBehind(allocation.base);
  memmove(&table.entries[at], &table.entries[at + 1], (table.count - at - 1) * sizeof(HostMemory*));
  --table.count;
  if (allocation.kind == MemoryKind::kManaged) {
    MoveManaged(memory, allocation.base, allocation.bytes, kOnHost);
    Deallocate(memory->residence);
  }
  if (!memory->registered) {
    os::Unmap(reinterpret_cast<void*>(allocation.base), RoundUp(allocation.bytes, kHostPage));
  }
  Deallocate(memory);
}

Allocation* FindHost(uint64_t address) {
  HostMemory* memory = FindHostMemory(address);
  return memory != nullptr ? &memory->allocation : nullptr;
}

void ReleaseHostMemory(Context* context) {
  for (uint64_t at = table.count; at-- > 0;) {
    if (table.entries[at]->allocation.context == context) RemoveHost(table.entries[at]);
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuMemAllocHost(void** pointer, unsigned int bytes) {
  return AllocateHost(pointer, bytes, 0);
}
HAMI_SIM_API CUresult cuMemAllocHost_v2(void** pointer, size_t bytes) {
  return AllocateHost(pointer, bytes, 0);
}
HAMI_SIM_API CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned int flags) {
  return AllocateHost(pointer, bytes, flags);
}

HAMI_SIM_API CUresult cuMemFreeHost(void* pointer) {
  HAMI_ENTER(Need::kFreeing);
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  const auto address = reinterpret_cast<uint64_t>(pointer);
  HostMemory* memory = FindHostMemory(address);
  if (memory == nullptr || memory->registered || memory->allocation.base != address ||
      memory->allocation.kind != MemoryKind::kHost) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  RemoveHost(memory);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemHostRegister(void* pointer, size_t bytes, unsigned int flags) {
  return RegisterHost(pointer, bytes, flags);
}
HAMI_SIM_API CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned int flags) {
  return RegisterHost(pointer, bytes, flags);
}

HAMI_SIM_API CUresult cuMemHostUnregister(void* pointer) {
  HAMI_ENTER(Need::kFreeing);
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  const auto address = reinterpret_cast<uint64_t>(pointer);
  if (address == 0) return CUDA_ERROR_INVALID_VALUE;
  HostMemory* memory = FindHostMemory(address);
  if (memory == nullptr || !memory->registered || memory->allocation.base != address) {
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  }
  RemoveHost(memory);
  return CUDA_SUCCESS;
}

// With unified addressing all of this memory is mapped, whatever the flags said.
HAMI_SIM_API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* out, void* pointer,
                                                   unsigned int flags) {
  HAMI_ENTER(Need::kContext);
  const auto address = reinterpret_cast<uint64_t>(pointer);
  const HostMemory* memory = FindHostMemory(address);
  if (out == nullptr || flags != 0 || memory == nullptr ||
      memory->allocation.kind != MemoryKind::kHost) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *out = address;
  return CUDA_SUCCESS;
}
// Has 32-bit pointers, which cannot hold an address of a 64-bit process.
HAMI_SIM_API CUresult cuMemHostGetDevicePointer(unsigned int*, void*, unsigned int) {
  return CUDA_ERROR_NOT_SUPPORTED;
}

HAMI_SIM_API CUresult cuMemHostGetFlags(unsigned int* flags, void* pointer) {
  HAMI_ENTER(Need::kContext);
  const HostMemory* memory = FindHostMemory(reinterpret_cast<uint64_t>(pointer));
  if (flags == nullptr || memory == nullptr || memory->registered ||
      memory->allocation.kind != MemoryKind::kHost) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *flags = memory->flags;
  return CUDA_SUCCESS;
}
