// SPDX-License-Identifier: Apache-2.0
//
// Multicast objects. Devices of compute capability 9.0 and above have them (assumed: such cards sit
// on a switch). What is stored through one is not simulated. Where the driver waits for devices
// that are not in the team yet, the call fails instead: nobody in this process would add them
// meanwhile.

#include "simgpu/cuda/multicast.h"

#include "api/cuda/functions.h"

namespace hami::simgpu::cuda {

// Part of a multicast object and the memory behind it on one device.
struct Binding {
  uint32_t device;
  uint64_t offset;
  uint64_t bytes;
  Physical* physical;
  Binding* next;
};

struct Multicast {
  uint32_t wanted_devices;
  uint32_t device_count;
  uint32_t devices[kMaxDevices];
  Binding* bindings;
};

namespace {

constexpr uint32_t kLeastCapability = 90;

bool IsSupported() {
  for (uint32_t i = 0; i < process.device_count; ++i) {
    if (ConfigOf(process.devices[i]).compute_capability < kLeastCapability) return false;
  }
  return true;
}

CUresult CheckProperties(const CUmulticastObjectProp* props) {
  if (!IsSupported()) return CUDA_ERROR_NOT_SUPPORTED;
  if (props == nullptr || props->numDevices == 0 || props->flags != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (props->numDevices > process.device_count) return CUDA_ERROR_INVALID_DEVICE;
  // One process only: nothing can be exported.
  return props->handleTypes == 0 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

Physical* FindObject(CUmemGenericAllocationHandle handle) {
  Physical* object = FindPhysical(handle);
  return object != nullptr && object->multicast != nullptr ? object : nullptr;
}

bool IsInTeam(const Multicast& multicast, uint32_t device) {
  for (uint32_t i = 0; i < multicast.device_count; ++i) {
    if (multicast.devices[i] == device) return true;
  }
  return false;
}

bool Overlaps(const Multicast& multicast, uint32_t device, uint64_t offset, uint64_t bytes) {
  for (const Binding* at = multicast.bindings; at != nullptr; at = at->next) {
    if (at->device == device && offset < at->offset + at->bytes && at->offset < offset + bytes) {
      return true;
    }
  }
  return false;
}

struct Range {
  uint64_t offset;
  uint64_t memory_offset;
  uint64_t bytes;
};

CUresult Bind(CUmemGenericAllocationHandle handle, const CUdevice* ordinal, Physical* physical,
              const Range& range, unsigned long long flags) {
  const Physical* object = FindObject(handle);
  uint32_t device = 0;
  if (object == nullptr || physical == nullptr || physical->multicast != nullptr || flags != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Multicast& multicast = *object->multicast;
  if (ordinal != nullptr && (!FindDevice(*ordinal, &device) || device != physical->device)) {
    return CUDA_ERROR_INVALID_DEVICE;
  }
  if (!IsInTeam(multicast, physical->device)) return CUDA_ERROR_INVALID_DEVICE;
  if (!IsComplete(multicast)) return CUDA_ERROR_ILLEGAL_STATE;
  const bool aligned = range.offset % kChunkBytes == 0 && range.memory_offset % kChunkBytes == 0 &&
                       range.bytes % kChunkBytes == 0 && range.bytes != 0;
  const bool inside = range.bytes <= object->bytes && range.offset <= object->bytes - range.bytes &&
                      range.bytes <= physical->bytes &&
                      range.memory_offset <= physical->bytes - range.bytes;
  if (!aligned || !inside || Overlaps(multicast, physical->device, range.offset, range.bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  auto* made = static_cast<Binding*>(AllocateZeroed(sizeof(Binding)));
  *made = {physical->device, range.offset, range.bytes, physical, multicast.bindings};
  multicast.bindings = made;
  HoldPhysical(physical);
  return CUDA_SUCCESS;
}

CUresult BindMemory(CUmemGenericAllocationHandle handle, const CUdevice* ordinal,
                    CUmemGenericAllocationHandle memory, const Range& range,
                    unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  return Bind(handle, ordinal, FindPhysical(memory), range, flags);
}

// Memory of a pool is bound by its address too; not simulated.
CUresult BindAddress(CUmemGenericAllocationHandle handle, const CUdevice* ordinal, uint64_t address,
                     uint64_t offset, uint64_t bytes, unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  const Mapping* mapping = FindMapping(address);
  if (mapping == nullptr) {
    return FindEntered(address) != nullptr ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  }
  auto* physical = static_cast<Physical*>(mapping->allocation.extra);
  return Bind(handle, ordinal, physical, {offset, address - mapping->allocation.base, bytes},
              flags);
}

CUresult Unbind(CUmemGenericAllocationHandle handle, CUdevice ordinal, uint64_t offset,
                uint64_t bytes) {
  HAMI_ENTER(Need::kInit);
  const Physical* object = FindObject(handle);
  uint32_t device = 0;
  if (object == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device) || !IsInTeam(*object->multicast, device)) {
    return CUDA_ERROR_INVALID_DEVICE;
  }
  bool found = false;
  for (Binding** at = &object->multicast->bindings; *at != nullptr;) {
    Binding* binding = *at;
    const bool covered = binding->device == device && binding->offset >= offset &&
                         binding->bytes <= bytes &&
                         binding->offset - offset <= bytes - binding->bytes;
    if (!covered) {
      at = &binding->next;
      continue;
    }
    *at = binding->next;
    LetPhysicalGo(binding->physical);
    Deallocate(binding);
    found = true;
  }
  return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

void DropBindings(Multicast* multicast) {
  while (multicast->bindings != nullptr) {
    Binding* binding = multicast->bindings;
    multicast->bindings = binding->next;
    LetPhysicalGo(binding->physical);
    Deallocate(binding);
  }
  Deallocate(multicast);
}

bool IsComplete(const Multicast& multicast) {
  return multicast.device_count == multicast.wanted_devices;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuMulticastCreate(CUmemGenericAllocationHandle* out,
                                        const CUmulticastObjectProp* props) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = CheckProperties(props);
  if (result != CUDA_SUCCESS) return result;
  if (props->size == 0 || props->size % kChunkBytes != 0) return CUDA_ERROR_INVALID_VALUE;
  auto* object = NewObject<Physical>(nullptr);
  object->device = process.devices[0];
  object->handles = 1;
  object->bytes = props->size;
  object->multicast = static_cast<Multicast*>(AllocateZeroed(sizeof(Multicast)));
  object->multicast->wanted_devices = props->numDevices;
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(object);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMulticastAddDevice(CUmemGenericAllocationHandle handle, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  const Physical* object = FindObject(handle);
  uint32_t device = 0;
  if (object == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  Multicast& multicast = *object->multicast;
  if (IsComplete(multicast) || IsInTeam(multicast, device)) return CUDA_ERROR_INVALID_VALUE;
  multicast.devices[multicast.device_count++] = device;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMulticastBindMem(CUmemGenericAllocationHandle handle, size_t offset,
                                         CUmemGenericAllocationHandle memory, size_t memory_offset,
                                         size_t bytes, unsigned long long flags) {
  return BindMemory(handle, nullptr, memory, {offset, memory_offset, bytes}, flags);
}
HAMI_SIM_API CUresult cuMulticastBindMem_v2(CUmemGenericAllocationHandle handle, CUdevice device,
                                            size_t offset, CUmemGenericAllocationHandle memory,
                                            size_t memory_offset, size_t bytes,
                                            unsigned long long flags) {
  return BindMemory(handle, &device, memory, {offset, memory_offset, bytes}, flags);
}
HAMI_SIM_API CUresult cuMulticastBindAddr(CUmemGenericAllocationHandle handle, size_t offset,
                                          CUdeviceptr address, size_t bytes,
                                          unsigned long long flags) {
  return BindAddress(handle, nullptr, address, offset, bytes, flags);
}
HAMI_SIM_API CUresult cuMulticastBindAddr_v2(CUmemGenericAllocationHandle handle, CUdevice device,
                                             size_t offset, CUdeviceptr address, size_t bytes,
                                             unsigned long long flags) {
  return BindAddress(handle, &device, address, offset, bytes, flags);
}
HAMI_SIM_API CUresult cuMulticastUnbind(CUmemGenericAllocationHandle handle, CUdevice device,
                                        size_t offset, size_t bytes) {
  return Unbind(handle, device, offset, bytes);
}

HAMI_SIM_API CUresult cuMulticastGetGranularity(size_t* bytes, const CUmulticastObjectProp* props,
                                                int option) {
  HAMI_ENTER(Need::kInit);
  if (bytes == nullptr || option < 0 || option > 1) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = CheckProperties(props);
  if (result == CUDA_SUCCESS) *bytes = kChunkBytes;
  return result;
}
