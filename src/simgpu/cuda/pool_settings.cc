// SPDX-License-Identifier: Apache-2.0
//
// Making pools, the pools of a device, attributes and access.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/pools.h"

namespace hami::simgpu::cuda {
namespace {

Pool* default_pools[kMaxDevices];
Pool* current_pools[kMaxDevices];
Pool* default_host_pool;
Pool* current_host_pool;

// `value` is a cuuint64_t that is set to 0: the only thing that a high watermark can be set to.
CUresult ResetHigh(const void* value, uint64_t current, uint64_t* high) {
  uint64_t asked = 0;
  memcpy(&asked, value, sizeof(asked));
  if (asked != 0) return CUDA_ERROR_INVALID_VALUE;
  *high = current;
  return CUDA_SUCCESS;
}

CUresult GetSize(uint64_t size, void* value) {
  memcpy(value, &size, sizeof(size));
  return CUDA_SUCCESS;
}

// The machine's device of a location; false: it is no device of this process.
bool FindLocation(const CUmemLocation& location, uint32_t* device) {
  return location.type == CU_MEM_LOCATION_TYPE_DEVICE && FindDevice(location.id, device);
}

bool IsOnHost(const CUmemLocation& location) {
  return location.type == CU_MEM_LOCATION_TYPE_HOST ||
         location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
         location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

CUresult CheckProperties(const CUmemPoolProps& props, uint32_t* device) {
  // Managed pools come with CUDA 13.0, those of the host with 12.2.
  if (props.allocType == CU_MEM_ALLOCATION_TYPE_MANAGED) return CUDA_ERROR_NOT_SUPPORTED;
  if (props.allocType != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  const bool shared = props.handleTypes != CU_MEM_HANDLE_TYPE_NONE;
  if (shared && props.handleTypes != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  if (shared && IsOnHost(props.location)) return CUDA_ERROR_NOT_SUPPORTED;
  if (IsOnHost(props.location)) {
    return GlanceAtMachine().cuda_version >= 12020 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  return FindLocation(props.location, device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

Pool* CurrentHostPool() {
  return current_host_pool != nullptr ? current_host_pool : DefaultHostPool();
}

// The pool that `of_host` or `of_device` names for the location.
template <typename OfHost, typename OfDevice>
CUresult PoolAt(const CUmemLocation* location, CUmemAllocationType type, CUmemoryPool* out,
                const OfHost& of_host, const OfDevice& of_device) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (out == nullptr || location == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (type == CU_MEM_ALLOCATION_TYPE_MANAGED) return CUDA_ERROR_NOT_SUPPORTED;
  if (type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (IsOnHost(*location)) {
    *out = reinterpret_cast<CUmemoryPool>(of_host());
    return CUDA_SUCCESS;
  }
  if (!FindLocation(*location, &device)) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUmemoryPool>(of_device(device));
  return CUDA_SUCCESS;
}

}  // namespace

Pool* MakePool(uint32_t device) {
  Pool* pool = NewObject<Pool>(nullptr);
  pool->device = device;
  for (int& reuse : pool->reuse) reuse = 1;
  pool->access[device] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  pool->next_pool = all_pools;
  if (all_pools != nullptr) all_pools->previous_pool = pool;
  all_pools = pool;
  return pool;
}

Pool* DefaultPool(uint32_t device) {
  if (default_pools[device] == nullptr) {
    default_pools[device] = MakePool(device);
    default_pools[device]->is_default = true;
  }
  return default_pools[device];
}

Pool* CurrentPool(uint32_t device) {
  return current_pools[device] != nullptr ? current_pools[device] : DefaultPool(device);
}

Pool* DefaultHostPool() {
  if (default_host_pool == nullptr) {
    default_host_pool = MakePool(0);
    default_host_pool->is_default = true;
    default_host_pool->on_host = true;
  }
  return default_host_pool;
}

void SetCurrentPool(uint32_t device, Pool* pool) { current_pools[device] = pool; }

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuMemPoolCreate(CUmemoryPool* out, const CUmemPoolProps* props) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr || props == nullptr) return CUDA_ERROR_INVALID_VALUE;
  uint32_t device = 0;
  const CUresult result = CheckProperties(*props, &device);
  if (result != CUDA_SUCCESS) return result;
  Pool* pool = MakePool(device);
  pool->max_bytes = props->maxSize;
  pool->shareable = props->handleTypes != CU_MEM_HANDLE_TYPE_NONE;
  pool->on_host = IsOnHost(props->location);
  *out = reinterpret_cast<CUmemoryPool>(pool);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr || pool->is_default) return CUDA_ERROR_INVALID_VALUE;
  if (current_pools[pool->device] == pool) SetCurrentPool(pool->device, nullptr);
  if (current_host_pool == pool) current_host_pool = nullptr;
  DestroyPool(pool);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep_bytes) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  TrimPool(pool, keep_bytes);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                                            void* value) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      memcpy(value, &pool->reuse[attribute - 1], sizeof(int));
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      return GetSize(pool->threshold, value);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      return GetSize(pool->reserved, value);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      return GetSize(pool->reserved_high, value);
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      return GetSize(pool->used, value);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      return GetSize(pool->used_high, value);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

HAMI_SIM_API CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                                            void* value) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      memcpy(&pool->reuse[attribute - 1], value, sizeof(int));
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      memcpy(&pool->threshold, value, sizeof(uint64_t));
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      return ResetHigh(value, pool->reserved, &pool->reserved_high);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      return ResetHigh(value, pool->used, &pool->used_high);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

HAMI_SIM_API CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc* access,
                                         size_t count) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr || (access == nullptr && count != 0)) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    uint32_t device = 0;
    if (!FindLocation(access[i].location, &device)) return CUDA_ERROR_INVALID_DEVICE;
    const CUmemAccess_flags flags = access[i].flags;
    const bool valid =
        flags == CU_MEM_ACCESS_FLAGS_PROT_NONE || flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    // The pool's own device keeps its access.
    if (!valid || (device == pool->device && flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  for (size_t i = 0; i < count; ++i) {
    uint32_t device = 0;
    FindLocation(access[i].location, &device);
    pool->access[device] = static_cast<uint8_t>(access[i].flags);
  }
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolGetAccess(CUmemAccess_flags* flags, CUmemoryPool handle,
                                         CUmemLocation* location) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  uint32_t device = 0;
  if (pool == nullptr || flags == nullptr || location == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindLocation(*location, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *flags = static_cast<CUmemAccess_flags>(pool->access[device]);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* out, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *out = reinterpret_cast<CUmemoryPool>(DefaultPool(device));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetMemPool(CUmemoryPool* out, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *out = reinterpret_cast<CUmemoryPool>(CurrentPool(device));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceSetMemPool(CUdevice ordinal, CUmemoryPool handle) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr || pool->imported || pool->on_host || pool->device != device) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  SetCurrentPool(device, pool);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemGetDefaultMemPool(CUmemoryPool* out, CUmemLocation* location,
                                             CUmemAllocationType type) {
  return PoolAt(location, type, out, DefaultHostPool, DefaultPool);
}
HAMI_SIM_API CUresult cuMemGetMemPool(CUmemoryPool* out, CUmemLocation* location,
                                      CUmemAllocationType type) {
  return PoolAt(location, type, out, CurrentHostPool, CurrentPool);
}
HAMI_SIM_API CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type,
                                      CUmemoryPool handle) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  auto* pool = Find<Pool>(handle);
  if (pool == nullptr || location == nullptr || type != CU_MEM_ALLOCATION_TYPE_PINNED ||
      pool->imported || pool->on_host != IsOnHost(*location)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (pool->on_host) {
    current_host_pool = pool;
    return CUDA_SUCCESS;
  }
  if (!FindLocation(*location, &device) || pool->device != device) return CUDA_ERROR_INVALID_VALUE;
  SetCurrentPool(device, pool);
  return CUDA_SUCCESS;
}
