// SPDX-License-Identifier: Apache-2.0
//
// Virtual memory management. Physical memory is charged when it is created and refunded when
// nothing keeps it any more: every handle to it released, every mapping of it removed, and nothing
// bound to a multicast object. Reserving and granting access to addresses costs no device memory.

#include "preload/memory_vmm.h"

#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

constinit Table<Physical> physicals;

struct MappedRange {
  uint64_t key;  // the address
  uint64_t bytes;
  uint64_t handle;
};
constinit Table<MappedRange> mappings;

// The mapping at or behind `*pointer` within the range; moves past it. False: none left.
bool NextMapping(CUdeviceptr* pointer, CUdeviceptr end, MappedRange* mapping) {
  constexpr uint64_t kFinestMappingBytes = 65536;
  while (*pointer < end) {
    const bool found = mappings.Find(*pointer, mapping);
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
    if (physicals.Insert({*handle, bytes, 1, ordinal})) return CUDA_SUCCESS;
    cuda.cuMemRelease(*handle);
  }
  Refund(device, bytes, ChargeKind::kData);
  return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
}

}  // namespace

Dropped Drop(CUmemGenericAllocationHandle handle) {
  Dropped dropped = {handle, false, false, {}};
  dropped.known = physicals.Edit(handle, [&](Physical& physical) {
    dropped.physical = physical;
    dropped.last = --physical.references == 0;
    return dropped.last ? Table<Physical>::Verdict::kRemove : Table<Physical>::Verdict::kKeep;
  });
  return dropped;
}

bool AddReference(CUmemGenericAllocationHandle handle) {
  return physicals.Edit(handle, [](Physical& physical) {
    ++physical.references;
    return Table<Physical>::Verdict::kKeep;
  });
}

void Finish(const Dropped& dropped) {
  if (!dropped.last) return;
  if (dropped.physical.bytes == 0) return ForgetBindings(dropped.handle);
  Refund(*DeviceOfOrdinal(dropped.physical.ordinal), dropped.physical.bytes, ChargeKind::kData);
}

void Restore(const Dropped& dropped) {
  if (!dropped.known) return;
  if (dropped.last) {
    physicals.Insert(dropped.physical);
  } else {
    AddReference(dropped.handle);
  }
}

bool FindPhysical(CUmemGenericAllocationHandle handle, Physical* physical) {
  return physicals.Find(handle, physical);
}

bool AddMulticast(CUmemGenericAllocationHandle handle, int ordinal) {
  return physicals.Insert({handle, 0, 1, ordinal});
}

void ResetVmmAfterFork() {
  physicals.ResetAfterFork();
  mappings.ResetAfterFork();
  ResetMulticastAfterFork();
}

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
  const Dropped dropped = Drop(handle);
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
  AddReference(*handle);
  return result;
}

HAMI_EXPORT CUresult cuMemMap(CUdeviceptr pointer, size_t bytes, size_t offset,
                              CUmemGenericAllocationHandle handle, unsigned long long flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuMemMap(pointer, bytes, offset, handle, flags);
  if (result != CUDA_SUCCESS || EnterCuda() != Mode::kLimit) return result;
  // The reference first: should the mapping not be remembered, the charge stays until the end.
  if (AddReference(handle)) mappings.Insert({pointer, bytes, handle});
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
  MappedRange mapping;
  for (CUdeviceptr at = pointer; count < kMaxDropped && NextMapping(&at, end, &mapping);) {
    dropped[count++] = Drop(mapping.handle);
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
    mappings.Take(mapping.key, &mapping);
    if (++seen > kMaxDropped) Finish(Drop(mapping.handle));
  }
  return result;
}

}  // extern "C"
