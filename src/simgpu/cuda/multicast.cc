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

namespace {

constexpr uint32_t kLeastCapability = 90;

CUresult CheckProperties(const CUmulticastObjectProp* props) {
  if (!IsMulticastSupported()) return CUDA_ERROR_NOT_SUPPORTED;
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

}  // namespace

bool IsMulticastSupported() {
  for (uint32_t i = 0; i < process.device_count; ++i) {
    if (ConfigOf(process.devices[i]).compute_capability < kLeastCapability) return false;
  }
  return true;
}

CUresult AddToTeam(Multicast* team, CUdevice ordinal) {
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  if (IsComplete(*team) || IsInTeam(*team, device)) return CUDA_ERROR_INVALID_VALUE;
  team->devices[team->device_count++] = device;
  return CUDA_SUCCESS;
}

CUresult BindPhysical(Multicast* team, uint64_t team_bytes, const CUdevice* ordinal,
                      Physical* physical, const BindRange& range, unsigned long long flags) {
  uint32_t device = 0;
  if (physical == nullptr || physical->multicast != nullptr || flags != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (ordinal != nullptr && (!FindDevice(*ordinal, &device) || device != physical->device)) {
    return CUDA_ERROR_INVALID_DEVICE;
  }
  if (!IsInTeam(*team, physical->device)) return CUDA_ERROR_INVALID_DEVICE;
  if (!IsComplete(*team)) return CUDA_ERROR_ILLEGAL_STATE;
  const bool aligned = range.offset % kChunkBytes == 0 && range.memory_offset % kChunkBytes == 0 &&
                       range.bytes % kChunkBytes == 0 && range.bytes != 0;
  const bool inside = range.bytes <= team_bytes && range.offset <= team_bytes - range.bytes &&
                      range.bytes <= physical->bytes &&
                      range.memory_offset <= physical->bytes - range.bytes;
  if (!aligned || !inside || Overlaps(*team, physical->device, range.offset, range.bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  auto* made = static_cast<Binding*>(AllocateZeroed(sizeof(Binding)));
  *made = {physical->device, range.offset, range.bytes, physical, team->bindings};
  team->bindings = made;
  HoldPhysical(physical);
  return CUDA_SUCCESS;
}

// Memory of a pool is bound by its address too; not simulated.
CUresult BindMapped(Multicast* team, uint64_t team_bytes, const CUdevice* ordinal, uint64_t address,
                    BindRange range, unsigned long long flags) {
  const Mapping* mapping = FindMapping(address);
  if (mapping == nullptr) {
    return FindEntered(address) != nullptr ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  }
  range.memory_offset = address - mapping->allocation.base;
  auto* physical = static_cast<Physical*>(mapping->allocation.extra);
  return BindPhysical(team, team_bytes, ordinal, physical, range, flags);
}

CUresult UnbindRange(Multicast* team, CUdevice ordinal, uint64_t offset, uint64_t bytes) {
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device) || !IsInTeam(*team, device)) return CUDA_ERROR_INVALID_DEVICE;
  bool found = false;
  for (Binding** at = &team->bindings; *at != nullptr;) {
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

namespace {

CUresult BindMemory(CUmemGenericAllocationHandle handle, const CUdevice* ordinal,
                    CUmemGenericAllocationHandle memory, const BindRange& range,
                    unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  const Physical* object = FindObject(handle);
  if (object == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return BindPhysical(object->multicast, object->bytes, ordinal, FindPhysical(memory), range,
                      flags);
}

CUresult BindAddress(CUmemGenericAllocationHandle handle, const CUdevice* ordinal, uint64_t address,
                     uint64_t offset, uint64_t bytes, unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  const Physical* object = FindObject(handle);
  if (object == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return BindMapped(object->multicast, object->bytes, ordinal, address, {offset, 0, bytes}, flags);
}

}  // namespace

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
  return object == nullptr ? CUDA_ERROR_INVALID_VALUE : AddToTeam(object->multicast, ordinal);
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
  HAMI_ENTER(Need::kInit);
  const Physical* object = FindObject(handle);
  if (object == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return UnbindRange(object->multicast, device, offset, bytes);
}

HAMI_SIM_API CUresult cuMulticastGetGranularity(size_t* bytes, const CUmulticastObjectProp* props,
                                                int option) {
  HAMI_ENTER(Need::kInit);
  if (bytes == nullptr || option < 0 || option > 1) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = CheckProperties(props);
  if (result == CUDA_SUCCESS) *bytes = kChunkBytes;
  return result;
}
