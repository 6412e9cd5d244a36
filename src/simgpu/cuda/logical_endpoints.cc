// SPDX-License-Identifier: Apache-2.0
//
// Logical endpoints (CUDA 13.3): numbers that stand for memory of one device, or of a team, as
// seen over the fabric. Devices that have multicast have them too (assumed). What is copied through
// one is not simulated, and nothing can be exported.

#include "api/cuda/functions.h"
#include "simgpu/cuda/multicast.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint32_t kMostIds = 1024;
constexpr uint32_t kFirstId = 1;
constexpr uint64_t kMostBytes = uint64_t{1} << 40;  // assumed
constexpr unsigned kCountedOperations = 1;

struct Endpoint {
  bool reserved;
  bool queried;     // somebody has seen that it is complete
  Multicast* team;  // nullptr: not created
  uint64_t bytes;
};

// By number; under the process' lock.
Endpoint endpoints[kMostIds];

Endpoint* FindReserved(CUlogicalEndpointId id) {
  if (id < kFirstId || id - kFirstId >= kMostIds) return nullptr;
  Endpoint* endpoint = &endpoints[id - kFirstId];
  return endpoint->reserved ? endpoint : nullptr;
}

Endpoint* FindCreated(CUlogicalEndpointId id) {
  Endpoint* endpoint = FindReserved(id);
  return endpoint != nullptr && endpoint->team != nullptr ? endpoint : nullptr;
}

// Also complete and seen to be so: memory may be bound.
Endpoint* FindReady(CUlogicalEndpointId id) {
  Endpoint* endpoint = FindCreated(id);
  return endpoint != nullptr && endpoint->queried ? endpoint : nullptr;
}

CUresult CheckProperties(const CUlogicalEndpointProp* props) {
  if (!IsMulticastSupported()) return CUDA_ERROR_NOT_SUPPORTED;
  if (props == nullptr || (props->flags & ~kCountedOperations) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (props->ipcHandleTypes != CU_LOGICAL_ENDPOINT_IPC_HANDLE_TYPE_NONE) {
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  uint32_t device = 0;
  if (props->type == CU_LOGICAL_ENDPOINT_TYPE_UNICAST) {
    return FindDevice(props->unicast.device, &device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  const unsigned count = props->multicast.numDevices;
  const bool fits = props->type == CU_LOGICAL_ENDPOINT_TYPE_MULTICAST && count != 0 &&
                    count <= process.device_count;
  return fits ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

bool IsRangeReserved(CUlogicalEndpointId first, uint32_t count) {
  if (count == 0 || count > kMostIds) return false;
  for (uint32_t i = 0; i < count; ++i) {
    if (FindReserved(first + i) == nullptr) return false;
  }
  return true;
}

}  // namespace
}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuLogicalEndpointIdReserve(CUlogicalEndpointId* first, cuuint32_t count) {
  HAMI_ENTER(Need::kInit);
  if (!IsMulticastSupported()) return CUDA_ERROR_NOT_SUPPORTED;
  if (first == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  uint32_t run = 0;
  for (uint32_t i = 0; i < kMostIds; ++i) {
    run = endpoints[i].reserved ? 0 : run + 1;
    if (run < count) continue;
    for (uint32_t j = i + 1 - count; j <= i; ++j) endpoints[j] = {true, false, nullptr, 0};
    *first = kFirstId + i + 1 - count;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_OUT_OF_MEMORY;
}

HAMI_SIM_API CUresult cuLogicalEndpointIdRelease(CUlogicalEndpointId first, cuuint32_t count) {
  HAMI_ENTER(Need::kInit);
  if (!IsRangeReserved(first, count)) return CUDA_ERROR_INVALID_VALUE;
  for (uint32_t i = 0; i < count; ++i) {
    if (FindCreated(first + i) != nullptr) return CUDA_ERROR_INVALID_VALUE;
  }
  for (uint32_t i = 0; i < count; ++i) *FindReserved(first + i) = {};
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuLogicalEndpointCreate(CUlogicalEndpointId id,
                                              const CUlogicalEndpointProp* props) {
  HAMI_ENTER(Need::kInit);
  const CUresult result = CheckProperties(props);
  if (result != CUDA_SUCCESS) return result;
  Endpoint* endpoint = FindReserved(id);
  if (endpoint == nullptr || endpoint->team != nullptr || props->size == 0 ||
      props->size % kChunkBytes != 0 || props->size > kMostBytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  auto* team = static_cast<Multicast*>(AllocateZeroed(sizeof(Multicast)));
  *endpoint = {true, false, team, props->size};
  if (props->type == CU_LOGICAL_ENDPOINT_TYPE_MULTICAST) {
    team->wanted_devices = props->multicast.numDevices;
    return CUDA_SUCCESS;
  }
  team->wanted_devices = 1;
  return AddToTeam(team, props->unicast.device);
}

HAMI_SIM_API CUresult cuLogicalEndpointAddDevice(CUlogicalEndpointId id, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  const Endpoint* endpoint = FindCreated(id);
  return endpoint == nullptr ? CUDA_ERROR_INVALID_VALUE : AddToTeam(endpoint->team, ordinal);
}

HAMI_SIM_API CUresult cuLogicalEndpointQuery(CUlogicalEndpointId first, cuuint32_t count,
                                             int* status) {
  HAMI_ENTER(Need::kInit);
  if (status == nullptr || !IsRangeReserved(first, count)) return CUDA_ERROR_INVALID_VALUE;
  *status = 1;
  for (uint32_t i = 0; i < count; ++i) {
    const Endpoint* endpoint = FindCreated(first + i);
    if (endpoint == nullptr || !IsComplete(*endpoint->team)) *status = 0;
  }
  for (uint32_t i = 0; *status != 0 && i < count; ++i) FindCreated(first + i)->queried = true;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuLogicalEndpointBindMem(CUlogicalEndpointId id, CUdevice device,
                                               cuuint64_t offset,
                                               CUmemGenericAllocationHandle memory,
                                               cuuint64_t memory_offset, cuuint64_t bytes,
                                               unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  const Endpoint* endpoint = FindReady(id);
  if (endpoint == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return BindPhysical(endpoint->team, endpoint->bytes, &device, FindPhysical(memory),
                      {offset, memory_offset, bytes}, flags);
}

HAMI_SIM_API CUresult cuLogicalEndpointBindAddr(CUlogicalEndpointId id, CUdevice device,
                                                cuuint64_t offset, void* pointer, cuuint64_t bytes,
                                                unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  const Endpoint* endpoint = FindReady(id);
  if (endpoint == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return BindMapped(endpoint->team, endpoint->bytes, &device, reinterpret_cast<uint64_t>(pointer),
                    {offset, 0, bytes}, flags);
}

HAMI_SIM_API CUresult cuLogicalEndpointUnbind(CUlogicalEndpointId id, CUdevice device,
                                              cuuint64_t offset, cuuint64_t bytes) {
  HAMI_ENTER(Need::kInit);
  const Endpoint* endpoint = FindCreated(id);
  if (endpoint == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return UnbindRange(endpoint->team, device, offset, bytes);
}

HAMI_SIM_API CUresult cuLogicalEndpointDestroy(CUlogicalEndpointId id) {
  HAMI_ENTER(Need::kInit);
  Endpoint* endpoint = FindCreated(id);
  if (endpoint == nullptr) return CUDA_ERROR_INVALID_VALUE;
  DropBindings(endpoint->team);
  *endpoint = {true, false, nullptr, 0};
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuLogicalEndpointGetLimits(cuuint64_t* alignment, cuuint64_t* most_bytes,
                                                 const CUlogicalEndpointProp* props) {
  HAMI_ENTER(Need::kInit);
  if (alignment == nullptr || most_bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = CheckProperties(props);
  if (result != CUDA_SUCCESS) return result;
  *alignment = kChunkBytes;
  *most_bytes = kMostBytes;
  return CUDA_SUCCESS;
}
