// SPDX-License-Identifier: Apache-2.0
//
// Virtual memory management. Physical memory is charged when it is created and refunded when nothing
// keeps it any more: every handle to it released and every mapping of it removed. Reserving and
// granting access to addresses costs no device memory.

#include "preload/allocations.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

// A reference to physical memory that is about to go. Handle values are reused by the driver as soon
// as the memory is gone, so the reference leaves the table before the driver is called and the
// refund follows when it has succeeded.
struct Dropped {
  CUmemGenericAllocationHandle handle = 0;
  int64_t left = -1;  // references that remain; -1: not memory that we charged
  Entry physical;     // if none remain
};

Dropped Drop(CUmemGenericAllocationHandle handle) {
  Dropped dropped;
  dropped.handle = handle;
  dropped.left = DropReference(EntryKind::kPhysical, handle, &dropped.physical);
  return dropped;
}

void Finish(const Dropped& dropped) {
  if (dropped.left != 0) return;
  Refund(*DeviceOfOrdinal(dropped.physical.ordinal), dropped.physical.bytes, ChargeKind::kData);
}

void Restore(Dropped& dropped) {
  if (dropped.left > 0) AddReference(EntryKind::kPhysical, dropped.handle, 0);
  if (dropped.left != 0) return;
  dropped.physical.references = 1;
  InsertEntry(dropped.physical);
}

// The mapping at or behind `*pointer` within the range; moves past it. False: none left.
bool NextMapping(CUdeviceptr* pointer, CUdeviceptr end, Entry* mapping) {
  constexpr uint64_t kFinestMappingBytes = 65536;
  while (*pointer < end) {
    const bool found = FindEntry(EntryKind::kMapping, *pointer, mapping);
    *pointer += found ? mapping->bytes : kFinestMappingBytes;  // imported memory is not ours
    if (found) return true;
  }
  return false;
}

CUresult CreateCharged(Device& device, int ordinal, CUmemGenericAllocationHandle* handle,
                       size_t bytes, const CUmemAllocationProp* props, unsigned long long flags) {
  if (!Charge(device, bytes, ChargeKind::kData)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = cuda.cuMemCreate(handle, bytes, props, flags);
  if (result == CUDA_SUCCESS) {
    Entry entry;
    entry.kind = EntryKind::kPhysical;
    entry.key = *handle;
    entry.bytes = bytes;
    entry.references = 1;
    entry.ordinal = static_cast<int8_t>(ordinal);
    if (InsertEntry(entry)) return CUDA_SUCCESS;
    cuda.cuMemRelease(*handle);
  }
  Refund(device, bytes, ChargeKind::kData);
  return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t bytes,
                                 const CUmemAllocationProp* props, unsigned long long flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const bool on_device = handle != nullptr && bytes != 0 && props != nullptr &&
                         props->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
  if (!on_device) return cuda.cuMemCreate(handle, bytes, props, flags);
  const Mode mode = EnterCuda();
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  // The memory lies where the properties say, whatever context is current.
  const int ordinal = props->location.id;
  Device* device = mode == Mode::kLimit ? DeviceOfOrdinal(ordinal) : nullptr;
  if (device == nullptr) return cuda.cuMemCreate(handle, bytes, props, flags);
  FollowLimits();
  return CreateCharged(*device, ordinal, handle, bytes, props, flags);
}

HAMI_EXPORT CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return cuda.cuMemRelease(handle);
  Dropped dropped = Drop(handle);
  const CUresult result = cuda.cuMemRelease(handle);
  if (result == CUDA_SUCCESS) {
    Finish(dropped);
  } else {
    Restore(dropped);
  }
  return result;
}

HAMI_EXPORT CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* handle,
                                                 void* address) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuMemRetainAllocationHandle(handle, address);
  if (result != CUDA_SUCCESS || handle == nullptr || EnterCuda() != Mode::kLimit) return result;
  // Only memory that we charged is counted; imported memory belongs to its exporter.
  Entry entry;
  if (FindEntry(EntryKind::kPhysical, *handle, &entry)) {
    AddReference(EntryKind::kPhysical, *handle, entry.ordinal);
  }
  return result;
}

HAMI_EXPORT CUresult cuMemMap(CUdeviceptr pointer, size_t bytes, size_t offset,
                              CUmemGenericAllocationHandle handle, unsigned long long flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuMemMap(pointer, bytes, offset, handle, flags);
  if (result != CUDA_SUCCESS || EnterCuda() != Mode::kLimit) return result;
  Entry physical;
  if (!FindEntry(EntryKind::kPhysical, handle, &physical)) return result;
  Entry mapping;
  mapping.kind = EntryKind::kMapping;
  mapping.key = pointer;
  mapping.bytes = bytes;
  mapping.other = handle;
  mapping.ordinal = physical.ordinal;
  if (InsertEntry(mapping)) AddReference(EntryKind::kPhysical, handle, physical.ordinal);
  return result;
}

// One call may remove several whole mappings that lie side by side.
HAMI_EXPORT CUresult cuMemUnmap(CUdeviceptr pointer, size_t bytes) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return cuda.cuMemUnmap(pointer, bytes);
  const CUdeviceptr end = pointer + bytes;
  constexpr int kMaxDropped = 32;
  Dropped dropped[kMaxDropped];
  int count = 0;
  Entry mapping;
  for (CUdeviceptr at = pointer; count < kMaxDropped && NextMapping(&at, end, &mapping);) {
    dropped[count++] = Drop(mapping.other);
  }
  const CUresult result = cuda.cuMemUnmap(pointer, bytes);
  for (int i = 0; i < count; ++i) {
    if (result == CUDA_SUCCESS) {
      Finish(dropped[i]);
    } else {
      Restore(dropped[i]);
    }
  }
  if (result != CUDA_SUCCESS) return result;
  int seen = 0;
  for (CUdeviceptr at = pointer; NextMapping(&at, end, &mapping);) {
    TakeEntry(EntryKind::kMapping, mapping.key, &mapping);
    if (++seen > kMaxDropped) Finish(Drop(mapping.other));
  }
  return result;
}

}  // extern "C"
