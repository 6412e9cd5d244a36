// SPDX-License-Identifier: Apache-2.0
//
// Managed memory: made on the host, counted against a device where it was prefetched to it. Advice
// is kept for the allocation as a whole.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/memory_host.h"
#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {
namespace {

constexpr CUdevice kCpu = -1;      // cuda.h: CU_DEVICE_CPU
constexpr CUdevice kInvalid = -2;  // CU_DEVICE_INVALID

enum Advice {
  kSetReadMostly = 1,
  kUnsetReadMostly,
  kSetPreferred,
  kUnsetPreferred,
  kSetAccessedBy,
  kUnsetAccessedBy,
};

enum RangeAttribute {
  kReadMostly = 1,
  kPreferred,
  kAccessedBy,
  kLastPrefetch,
  kPreferredType,
  kPreferredId,
  kLastPrefetchType,
  kLastPrefetchId,
};

// The managed memory that all of [address, +bytes) lies in.
HostMemory* FindManaged(uint64_t address, uint64_t bytes) {
  HostMemory* memory = FindHostMemory(address);
  if (memory == nullptr || memory->allocation.kind != MemoryKind::kManaged) return nullptr;
  const Allocation& allocation = memory->allocation;
  const uint64_t room = allocation.bytes - (address - allocation.base);
  return bytes != 0 && bytes <= room ? memory : nullptr;
}

CUresult PlaceOf(CUdevice ordinal, int32_t* place) {
  *place = kOnHost;
  if (ordinal == kCpu) return CUDA_SUCCESS;
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *place = static_cast<int32_t>(device);
  return CUDA_SUCCESS;
}

CUresult PlaceOf(const CUmemLocation& location, int32_t* place) {
  switch (location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
      return location.id < 0 ? CUDA_ERROR_INVALID_DEVICE : PlaceOf(location.id, place);
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
      return PlaceOf(kCpu, place);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUdevice OrdinalOf(int32_t place) {
  if (place < 0) return place == kOnHost ? kCpu : kInvalid;
  for (uint32_t i = 0; i < process.device_count; ++i) {
    if (process.devices[i] == static_cast<uint32_t>(place)) return static_cast<CUdevice>(i);
  }
  return kInvalid;
}

int TypeOf(int32_t place) {
  if (place >= 0) return CU_MEM_LOCATION_TYPE_DEVICE;
  return place == kOnHost ? CU_MEM_LOCATION_TYPE_HOST : CU_MEM_LOCATION_TYPE_INVALID;
}

CUresult Prefetch(uint64_t address, uint64_t bytes, const CUmemLocation& location, CUstream handle,
                  bool per_thread) {
  HAMI_ENTER(Need::kContext);
  HostMemory* memory = FindManaged(address, bytes);
  if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
  int32_t to = kOnHost;
  const CUresult result = PlaceOf(location, &to);
  if (result != CUDA_SUCCESS) return result;
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult captured = CheckNotCaptured(entry.context, stream);
  if (captured != CUDA_SUCCESS) return captured;
  const uint64_t moved = MoveManaged(memory, address, bytes, to);
  memory->prefetched =
      bytes == memory->allocation.bytes || memory->prefetched == to ? to : kNowhere;
  if (moved == 0) return CUDA_SUCCESS;
  Op op = {};
  op.kind = OpKind::kCopy;
  op.work = to == kOnHost ? WorkKind::kCopyToHost : WorkKind::kCopyToDevice;
  op.ns = CopyNs(*entry.context, moved, op.work);
  return Perform(entry, *stream, op);
}

CUresult Advise(uint64_t address, uint64_t bytes, int advice, const CUmemLocation& location) {
  HAMI_ENTER(Need::kContext);
  HostMemory* memory = FindManaged(address, bytes);
  if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (advice == kSetReadMostly || advice == kUnsetReadMostly) {
    memory->read_mostly = advice == kSetReadMostly;
    return CUDA_SUCCESS;
  }
  if (advice == kUnsetPreferred) {
    memory->preferred = kNowhere;
    return CUDA_SUCCESS;
  }
  int32_t place = kOnHost;
  const CUresult result = PlaceOf(location, &place);
  if (result != CUDA_SUCCESS) return result;
  const uint64_t bit = place >= 0 ? uint64_t{1} << place : 0;
  switch (advice) {
    case kSetPreferred:
      memory->preferred = place;
      return CUDA_SUCCESS;
    case kSetAccessedBy:
      memory->accessed_by |= bit;
      return CUDA_SUCCESS;
    case kUnsetAccessedBy:
      memory->accessed_by &= ~bit;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

void ListAccessedBy(const HostMemory& memory, uint64_t count, char* out) {
  uint64_t found = 0;
  for (uint32_t i = 0; i < process.device_count && found < count; ++i) {
    if ((memory.accessed_by >> process.devices[i] & 1) == 0) continue;
    const auto ordinal = static_cast<CUdevice>(i);
    memcpy(out + found++ * sizeof(ordinal), &ordinal, sizeof(ordinal));
  }
  for (; found < count; ++found) memcpy(out + found * sizeof(kInvalid), &kInvalid, sizeof(int));
}

CUresult GetRange(void* data, uint64_t size, int attribute, const HostMemory& memory) {
  if (data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (attribute == kAccessedBy) {
    if (size == 0 || size % sizeof(int) != 0) return CUDA_ERROR_INVALID_VALUE;
    ListAccessedBy(memory, size / sizeof(int), static_cast<char*>(data));
    return CUDA_SUCCESS;
  }
  if (size != sizeof(int)) return CUDA_ERROR_INVALID_VALUE;
  int value = 0;
  switch (attribute) {
    case kReadMostly:
      value = memory.read_mostly ? 1 : 0;
      break;
    case kPreferred:
    case kPreferredId:
      value = OrdinalOf(memory.preferred);
      break;
    case kLastPrefetch:
    case kLastPrefetchId:
      value = OrdinalOf(memory.prefetched);
      break;
    case kPreferredType:
      value = TypeOf(memory.preferred);
      break;
    case kLastPrefetchType:
      value = TypeOf(memory.prefetched);
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  memcpy(data, &value, sizeof(value));
  return CUDA_SUCCESS;
}

CUmemLocation LocationOf(CUdevice device) {
  return {device == kCpu ? CU_MEM_LOCATION_TYPE_HOST : CU_MEM_LOCATION_TYPE_DEVICE, device};
}

}  // namespace

uint64_t MoveManaged(HostMemory* memory, uint64_t address, uint64_t bytes, int32_t to) {
  Allocation& allocation = memory->allocation;
  const uint64_t first = (address - allocation.base) / kChunkBytes;
  const uint64_t last = (address - allocation.base + bytes - 1) / kChunkBytes;
  uint64_t moved = 0;
  for (uint64_t i = first; i <= last; ++i) {
    int32_t& at = memory->residence[i];
    if (at == to) continue;
    // The driver would evict other managed memory; here what finds no room stays where it was.
    if (to >= 0 && !TakePhysical(static_cast<uint32_t>(to), kChunkBytes)) break;
    if (at >= 0) {
      GivePhysical(static_cast<uint32_t>(at), kChunkBytes);
      allocation.physical_bytes -= kChunkBytes;
    }
    if (to >= 0) allocation.physical_bytes += kChunkBytes;
    at = to;
    moved += kChunkBytes;
  }
  return moved < bytes ? moved : bytes;
}

bool FreeManaged(uint64_t address) {
  HostMemory* memory = FindManaged(address, 1);
  if (memory == nullptr || memory->allocation.base != address) return false;
  RemoveHost(memory);
  return true;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuMemAllocManaged(CUdeviceptr* out, size_t bytes, unsigned int flags) {
  HAMI_ENTER(Need::kContext);
  // CU_MEM_ATTACH_GLOBAL or _HOST; streams are attached by another call.
  if (out == nullptr || bytes == 0 || (flags != 1 && flags != 2)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  HostMemory* memory = EnterHost(entry.context, 0, bytes, MemoryKind::kManaged);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const uint64_t chunks = RoundUp(bytes, kChunkBytes) / kChunkBytes;
  memory->flags = flags;
  memory->residence = static_cast<int32_t*>(AllocateZeroed(chunks * sizeof(int32_t)));
  for (uint64_t i = 0; i < chunks; ++i) memory->residence[i] = kOnHost;
  *out = memory->allocation.base;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device,
                                         CUstream stream) {
  return Prefetch(address, bytes, LocationOf(device), stream, false);
}
HAMI_SIM_API CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr address, size_t bytes, CUdevice device,
                                              CUstream stream) {
  return Prefetch(address, bytes, LocationOf(device), stream, true);
}
HAMI_SIM_API CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes,
                                            CUmemLocation location, unsigned int flags,
                                            CUstream stream) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Prefetch(address, bytes, location, stream, false);
}
HAMI_SIM_API CUresult cuMemPrefetchAsync_v2_ptsz(CUdeviceptr address, size_t bytes,
                                                 CUmemLocation location, unsigned int flags,
                                                 CUstream stream) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Prefetch(address, bytes, location, stream, true);
}

HAMI_SIM_API CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, int advice, CUdevice device) {
  return Advise(address, bytes, advice, LocationOf(device));
}
HAMI_SIM_API CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, int advice,
                                     CUmemLocation location) {
  return Advise(address, bytes, advice, location);
}

HAMI_SIM_API CUresult cuMemRangeGetAttribute(void* data, size_t size, int attribute,
                                             CUdeviceptr address, size_t bytes) {
  HAMI_ENTER(Need::kContext);
  const HostMemory* memory = FindManaged(address, bytes);
  if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return GetRange(data, size, attribute, *memory);
}
HAMI_SIM_API CUresult cuMemRangeGetAttributes(void** data, size_t* sizes, int* attributes,
                                              size_t count, CUdeviceptr address, size_t bytes) {
  HAMI_ENTER(Need::kContext);
  const HostMemory* memory = FindManaged(address, bytes);
  if (memory == nullptr || data == nullptr || sizes == nullptr || attributes == nullptr) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0; i < count; ++i) {
    const CUresult result = GetRange(data[i], sizes[i], attributes[i], *memory);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}
