// SPDX-License-Identifier: Apache-2.0
//
// Virtual memory management. Content belongs to addresses, not to physical memory: what was written
// through one mapping is not seen through a second one, and is gone when it is unmapped. Memory
// that was exported or imported has one content, wherever it is mapped.

#include "simgpu/cuda/vmm.h"

#include "api/cuda/functions.h"
#include "simgpu/cuda/multicast.h"
#include "simgpu/cuda/shared.h"
#include "simgpu/cuda/small_chunk.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kHostPage = 4096;

struct Reservation {
  uint64_t base;
  uint64_t bytes;
  uint64_t taken_base;  // of the range that was taken to find an aligned one in it
  uint64_t taken_bytes;
  Reservation* next;
};
Reservation* reservations;

uint64_t GranularityOf(uint32_t device) {
  const uint64_t granularity = ConfigOf(device).granularity_bytes;
  return granularity > kChunkBytes ? granularity : kChunkBytes;
}

CUresult CheckLocation(const CUmemLocation& location, uint32_t* device) {
  switch (location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
      return FindDevice(location.id, device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
      return CUDA_ERROR_NOT_SUPPORTED;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult CheckProperties(const CUmemAllocationProp* props, uint32_t* device) {
  if (props == nullptr || props->type != CU_MEM_ALLOCATION_TYPE_PINNED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult result = CheckLocation(props->location, device);
  if (result != CUDA_SUCCESS) return result;
  const auto asked = static_cast<unsigned>(props->requestedHandleTypes);
  return (asked & ~unsigned{CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR}) == 0
             ? CUDA_SUCCESS
             : CUDA_ERROR_NOT_SUPPORTED;
}

void DropIfUnused(Physical* physical) {
  if (physical->handles != 0 || physical->mappings != 0) return;
  if (physical->multicast != nullptr) {
    DropBindings(physical->multicast);
  } else {
    GivePhysical(physical->device, physical->bytes, physical->shared_plus_1);
  }
  DeleteObject(physical);
}

Reservation** FindSlot(uint64_t address) {
  Reservation** at = &reservations;
  while (*at != nullptr && (address < (*at)->base || address - (*at)->base >= (*at)->bytes)) {
    at = &(*at)->next;
  }
  return at;
}

// No part of [address, +bytes) is mapped.
bool IsUnmapped(uint64_t address, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += kChunkBytes) {
    if (FindEntered(address + at) != nullptr) return false;
  }
  return true;
}

// [address, +bytes) is one mapping or several, each of them whole.
bool IsWholeMappings(uint64_t address, uint64_t bytes) {
  if (bytes == 0) return false;
  while (bytes > 0) {
    const Mapping* mapping = FindMapping(address);
    if (mapping == nullptr || mapping->allocation.base != address ||
        mapping->allocation.bytes > bytes) {
      return false;
    }
    address += mapping->allocation.bytes;
    bytes -= mapping->allocation.bytes;
  }
  return true;
}

CUresult Reserve(uint64_t bytes, uint64_t alignment, uint64_t* address) {
  if (alignment < kChunkBytes) alignment = kChunkBytes;
  uint64_t taken_bytes = 0;
  if (__builtin_add_overflow(bytes, alignment - 1, &taken_bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  taken_bytes = taken_bytes / kChunkBytes * kChunkBytes;
  const uint64_t taken = ReserveAddresses(taken_bytes);
  if (taken == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* made = static_cast<Reservation*>(AllocateZeroed(sizeof(Reservation)));
  made->base = RoundUp(taken, alignment);
  made->bytes = bytes;
  made->taken_base = taken;
  made->taken_bytes = taken_bytes;
  made->next = reservations;
  reservations = made;
  *address = made->base;
  return CUDA_SUCCESS;
}

void Map(Physical* physical, uint64_t address, uint64_t bytes) {
  auto* mapping = static_cast<Mapping*>(AllocateZeroed(sizeof(Mapping)));
  Allocation& allocation = mapping->allocation;
  allocation.base = address;
  allocation.bytes = bytes;
  allocation.physical_bytes = bytes;
  allocation.device = physical->device;
  allocation.kind = MemoryKind::kMapped;
  allocation.extra = physical;
  EnterAllocation(&allocation);
  ++physical->mappings;
  if (physical->shared_plus_1 != 0) {
    ShowSharedContent(physical->shared_plus_1, address, bytes, false);
  }
}

// What is mapped already shows the shared content from now on; what the last one has is kept.
void ShowInMappings(Physical* physical) {
  ForEachEntry(physical, [](void* with, Allocation* allocation, SmallChunk*) {
    if (allocation == nullptr || allocation->kind != MemoryKind::kMapped ||
        allocation->extra != with) {
      return;
    }
    const uint32_t shared_plus_1 = static_cast<Physical*>(with)->shared_plus_1;
    ShowSharedContent(shared_plus_1, allocation->base, allocation->bytes, true);
  });
}

// As this process numbers it; -1: it does not see it.
CUdevice OrdinalOf(uint32_t device) {
  for (uint32_t i = 0; i < process.device_count; ++i) {
    if (process.devices[i] == device) return static_cast<CUdevice>(i);
  }
  return -1;
}

void Unmap(Mapping* mapping) {
  auto* physical = static_cast<Physical*>(mapping->allocation.extra);
  RemoveAllocation(&mapping->allocation);
  Deallocate(mapping);
  LetPhysicalGo(physical);
}

CUresult CheckAccess(const CUmemAccessDesc& access) {
  uint32_t device = 0;
  const CUresult result = CheckLocation(access.location, &device);
  if (result != CUDA_SUCCESS) return result;
  const bool valid = access.flags == CU_MEM_ACCESS_FLAGS_PROT_NONE ||
                     access.flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
                     access.flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  return valid ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

Physical* FindPhysical(CUmemGenericAllocationHandle handle) {
  auto* physical = Find<Physical>(handle);
  return physical != nullptr && physical->handles != 0 ? physical : nullptr;
}

void HoldPhysical(Physical* physical) { ++physical->mappings; }

void LetPhysicalGo(Physical* physical) {
  --physical->mappings;
  DropIfUnused(physical);
}

Mapping* FindMapping(uint64_t address) {
  Allocation* entered = FindEntered(address);
  if (entered == nullptr || entered->kind != MemoryKind::kMapped) return nullptr;
  return reinterpret_cast<Mapping*>(entered);  // its first member
}

bool FindReservation(uint64_t address, uint64_t* base, uint64_t* bytes) {
  const Reservation* found = *FindSlot(address);
  if (found == nullptr) return false;
  *base = found->base;
  *bytes = found->bytes;
  return true;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

// The hint for the address is not followed, which the driver may do as well.
HAMI_SIM_API CUresult cuMemAddressReserve(CUdeviceptr* out, size_t bytes, size_t alignment,
                                          CUdeviceptr hint, unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr || bytes == 0 || bytes % kHostPage != 0 || hint % kHostPage != 0 ||
      (alignment & (alignment - 1)) != 0 || flags != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  uint64_t address = 0;
  const CUresult result = Reserve(bytes, alignment, &address);
  if (result == CUDA_SUCCESS) *out = address;
  return result;
}

HAMI_SIM_API CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
  HAMI_ENTER(Need::kInit);
  Reservation** slot = FindSlot(address);
  Reservation* found = *slot;
  if (found == nullptr || found->base != address || found->bytes != bytes ||
      !IsUnmapped(address, bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *slot = found->next;
  ReleaseAddresses(found->taken_base, found->taken_bytes);
  Deallocate(found);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemCreate(CUmemGenericAllocationHandle* out, size_t bytes,
                                  const CUmemAllocationProp* props, unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = CheckProperties(props, &device);
  if (result != CUDA_SUCCESS) return result;
  if (bytes == 0 || bytes % GranularityOf(device) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!TakePhysical(device, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* physical = NewObject<Physical>(nullptr);
  physical->device = device;
  physical->handles = 1;
  physical->bytes = bytes;
  physical->props = *props;
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(physical);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  HAMI_ENTER(Need::kInit);
  Physical* physical = FindPhysical(handle);
  if (physical == nullptr) return CUDA_ERROR_INVALID_VALUE;
  --physical->handles;
  DropIfUnused(physical);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
                               CUmemGenericAllocationHandle handle, unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  Physical* physical = FindPhysical(handle);
  const Reservation* reservation = *FindSlot(address);
  // The manual: the offset must be zero for now.
  if (physical == nullptr || reservation == nullptr || bytes == 0 || offset != 0 || flags != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (physical->multicast != nullptr && !IsComplete(*physical->multicast)) {
    return CUDA_ERROR_ILLEGAL_STATE;
  }
  const uint64_t granularity = GranularityOf(physical->device);
  const uint64_t room = reservation->bytes - (address - reservation->base);
  if (address % granularity != 0 || bytes % granularity != 0 || bytes > physical->bytes ||
      bytes > room || !IsUnmapped(address, bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Map(physical, address, bytes);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  HAMI_ENTER(Need::kInit);
  if (!IsWholeMappings(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  for (uint64_t done = 0; done < bytes;) {
    Mapping* mapping = FindMapping(address + done);
    done += mapping->allocation.bytes;
    Unmap(mapping);
  }
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes,
                                     const CUmemAccessDesc* access, size_t count) {
  HAMI_ENTER(Need::kInit);
  if (access == nullptr || count == 0 || !IsWholeMappings(address, bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0; i < count; ++i) {
    const CUresult result = CheckAccess(access[i]);
    if (result != CUDA_SUCCESS) return result;
  }
  for (uint64_t done = 0; done < bytes;) {
    Mapping* mapping = FindMapping(address + done);
    done += mapping->allocation.bytes;
    for (size_t i = 0; i < count; ++i) {
      uint32_t device = 0;
      CheckLocation(access[i].location, &device);
      mapping->access[device] = static_cast<uint8_t>(access[i].flags);
    }
  }
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location,
                                     CUdeviceptr address) {
  HAMI_ENTER(Need::kInit);
  if (flags == nullptr || location == nullptr) return CUDA_ERROR_INVALID_VALUE;
  uint32_t device = 0;
  const CUresult result = CheckLocation(*location, &device);
  if (result != CUDA_SUCCESS) return result;
  const Mapping* mapping = FindMapping(address);
  if (mapping == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = mapping->access[device];
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* out,
                                                  void* address) {
  HAMI_ENTER(Need::kInit);
  const Mapping* mapping = FindMapping(reinterpret_cast<uint64_t>(address));
  if (out == nullptr || mapping == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto* physical = static_cast<Physical*>(mapping->allocation.extra);
  ++physical->handles;
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(physical);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemGetAllocationGranularity(size_t* bytes, const CUmemAllocationProp* props,
                                                    CUmemAllocationGranularity_flags option) {
  HAMI_ENTER(Need::kInit);
  const bool known =
      option == CU_MEM_ALLOC_GRANULARITY_MINIMUM || option == CU_MEM_ALLOC_GRANULARITY_RECOMMENDED;
  uint32_t device = 0;
  if (bytes == nullptr || !known) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = CheckProperties(props, &device);
  if (result == CUDA_SUCCESS) *bytes = GranularityOf(device);
  return result;
}

HAMI_SIM_API CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* props,
                                                             CUmemGenericAllocationHandle handle) {
  HAMI_ENTER(Need::kInit);
  const Physical* physical = FindPhysical(handle);
  if (props == nullptr || physical == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *props = physical->props;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemExportToShareableHandle(void* out, CUmemGenericAllocationHandle handle,
                                                   CUmemAllocationHandleType type,
                                                   unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  Physical* physical = FindPhysical(handle);
  if (out == nullptr || physical == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  if ((physical->props.requestedHandleTypes & type) == 0) return CUDA_ERROR_INVALID_VALUE;
  if (physical->shared_plus_1 == 0) {
    if (!Share(physical->device, physical->bytes, &physical->shared_plus_1)) {
      return CUDA_ERROR_OPERATING_SYSTEM;
    }
    ShowInMappings(physical);
  }
  const int fd = ExportDescriptor(physical->shared_plus_1);
  if (fd < 0) return CUDA_ERROR_OPERATING_SYSTEM;
  *static_cast<int*>(out) = fd;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* out, void* given,
                                                     CUmemAllocationHandleType type) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  uint32_t index = 0;
  uint32_t generation = 0;
  const auto fd = static_cast<int>(reinterpret_cast<intptr_t>(given));
  if (!ReadDescriptor(fd, &index, &generation) || !HoldImported(index, generation)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint32_t shared_plus_1 = index + 1;
  const CUdevice ordinal = OrdinalOf(SharedOf(shared_plus_1).device);
  if (ordinal < 0) {
    DropShared(shared_plus_1);
    return CUDA_ERROR_INVALID_DEVICE;
  }
  auto* physical = NewObject<Physical>(nullptr);
  physical->device = SharedOf(shared_plus_1).device;
  physical->handles = 1;
  physical->bytes = SharedOf(shared_plus_1).bytes;
  physical->shared_plus_1 = shared_plus_1;
  physical->props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  physical->props.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  physical->props.location = {CU_MEM_LOCATION_TYPE_DEVICE, ordinal};
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(physical);
  return CUDA_SUCCESS;
}
