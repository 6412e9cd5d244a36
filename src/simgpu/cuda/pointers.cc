// SPDX-License-Identifier: Apache-2.0
//
// What the driver knows about a pointer.
//
// The manual gives few of the attributes a type. Booleans are written as 32-bit integers here: the
// programs that we know ask for them with an int or an unsigned.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/memory_host.h"
#include "simgpu/cuda/pools.h"
#include "simgpu/cuda/vmm.h"

namespace hami::simgpu::cuda {
namespace {

// cuda.h: CUmemorytype.
constexpr uint32_t kTypeHost = 1;
constexpr uint32_t kTypeDevice = 2;

// Attributes that types.h does not have.
constexpr int kMappingSize = 18;
constexpr int kMappingBase = 19;
constexpr int kBlockId = 20;
constexpr int kDecompressible = 21;

constexpr CUdevice kInvalidDevice = -2;  // cuda.h: CU_DEVICE_INVALID

// An attribute's value as it is written for the caller. A pointer that is unknown has value 0.
struct Value {
  uint64_t bits;
  size_t bytes;
  bool applies;  // to this pointer
};

// What lies at a pointer. A reserved address without a mapping is known, but has no memory.
struct Target {
  bool known;
  bool has_memory;
  bool reserved;
  Allocation memory;
  uint64_t range_base;
  uint64_t range_bytes;
};

// Allocations with SYNC_MEMOPS. It changes nothing here but its own value.
struct Synchronised {
  uint64_t buffer_id;
  Synchronised* next;
};
Synchronised* synchronised;

Target FindTarget(uint64_t address) {
  Target target = {};
  target.has_memory =
      FindAllocation(address, &target.memory) && target.memory.kind != MemoryKind::kReserved;
  if (!target.has_memory) {
    if (const Allocation* host = FindHost(address)) {
      target.memory = *host;
      target.has_memory = true;
    }
  }
  target.range_base = target.memory.base;
  target.range_bytes = target.memory.bytes;
  target.reserved = FindReservation(address, &target.range_base, &target.range_bytes);
  target.known = target.has_memory || target.reserved;
  return target;
}

bool IsOnHost(const Target& target) { return target.memory.kind == MemoryKind::kHost; }
bool IsManaged(const Target& target) { return target.memory.kind == MemoryKind::kManaged; }

uint32_t OrdinalOf(uint32_t device) {
  for (uint32_t i = 0; i < process.device_count; ++i) {
    if (process.devices[i] == device) return i;
  }
  return static_cast<uint32_t>(kInvalidDevice);
}

Synchronised** FindSynchronised(uint64_t buffer_id) {
  Synchronised** at = &synchronised;
  while (*at != nullptr && (*at)->buffer_id != buffer_id) at = &(*at)->next;
  return at;
}

void SetSynchronised(uint64_t buffer_id, bool wanted) {
  Synchronised** at = FindSynchronised(buffer_id);
  if ((*at != nullptr) == wanted) return;
  if (wanted) {
    *at = static_cast<Synchronised*>(AllocateZeroed(sizeof(Synchronised)));
    (*at)->buffer_id = buffer_id;
    return;
  }
  Synchronised* gone = *at;
  *at = gone->next;
  Deallocate(gone);
}

uint64_t PoolHandleOf(const Target& target) {
  if (target.memory.kind != MemoryKind::kPool) return 0;
  const auto* pool = static_cast<const Pool*>(target.memory.extra);
  return pool->destroyed ? 0 : reinterpret_cast<uint64_t>(pool);
}

// What the current context's device may do with the memory.
uint64_t AccessOf(const Target& target, uint64_t address, const Context* current) {
  if (target.memory.kind == MemoryKind::kMapped) {
    if (current == nullptr) return CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return FindMapping(address)->access[current->device];
  }
  if (target.memory.kind == MemoryKind::kPool && current != nullptr) {
    return static_cast<const Pool*>(target.memory.extra)->access[current->device];
  }
  return CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
}

uint64_t BlockIdOf(const Target& target) {
  // A physical allocation has one id, however many mappings it has.
  if (target.memory.kind != MemoryKind::kMapped) return target.memory.buffer_id;
  return reinterpret_cast<uint64_t>(target.memory.extra);
}

Value Of32(uint64_t bits) { return {bits, sizeof(uint32_t), true}; }
Value Of64(uint64_t bits, bool applies = true) { return {bits, sizeof(uint64_t), applies}; }

// False: no such attribute.
bool GetValue(const Target& target, uint64_t address, int attribute, const Context* current,
              Value* value) {
  const Allocation& memory = target.memory;
  const bool is_plain = memory.kind == MemoryKind::kPlain;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      *value = Of64(reinterpret_cast<uint64_t>(memory.context));
      return true;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *value = Of32(IsOnHost(target) ? kTypeHost : kTypeDevice);
      return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      *value = Of64(address);
      return true;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      *value = Of64(address, IsOnHost(target) || IsManaged(target));
      return true;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      *value = Of32(*FindSynchronised(memory.buffer_id) != nullptr);
      return true;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      *value = Of64(memory.buffer_id);
      return true;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      *value = Of32(IsManaged(target));
      return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      *value = Of32(OrdinalOf(memory.device));
      return true;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      *value = Of32(is_plain);
      return true;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      *value = Of64(target.range_base);
      return true;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      *value = Of64(target.range_bytes);
      return true;
    case CU_POINTER_ATTRIBUTE_MAPPED:
      *value = Of32(target.has_memory);
      return true;
    // No kind of memory can be exported.
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      *value = Of64(0);
      return true;
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
      *value = Of32(0);
      return true;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      *value = Of32(AccessOf(target, address, current));
      return true;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      *value = Of64(PoolHandleOf(target));
      return true;
    case kMappingSize:
      *value = Of64(memory.bytes);
      return true;
    case kMappingBase:
      *value = Of64(memory.base);
      return true;
    case kBlockId:
      *value = Of64(BlockIdOf(target));
      return true;
    case kDecompressible:
      *value = Of32(0);
      return true;
    default:
      return false;
  }
}

// Reserved addresses answer only for themselves.
bool IsAboutRange(int attribute) {
  return attribute == CU_POINTER_ATTRIBUTE_RANGE_START_ADDR ||
         attribute == CU_POINTER_ATTRIBUTE_RANGE_SIZE || attribute == CU_POINTER_ATTRIBUTE_MAPPED;
}

CUresult GetAttribute(const Entry& entry, const Target& target, int attribute, uint64_t address,
                      Value* value) {
  // Tokens are for drivers of other devices, to which nothing here could be shown.
  if (attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS) return CUDA_ERROR_NOT_SUPPORTED;
  if (!GetValue(target, address, attribute, entry.context, value)) return CUDA_ERROR_INVALID_VALUE;
  const bool answers = target.known && (target.has_memory || IsAboutRange(attribute));
  if (!answers || !value->applies) {
    value->applies = false;
    // cudaPointerGetAttributes shows this for memory that it does not know.
    const bool is_ordinal = attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL;
    value->bits = is_ordinal ? static_cast<uint32_t>(kInvalidDevice) : 0;
  }
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute,
                                            CUdeviceptr pointer) {
  HAMI_ENTER(Need::kInit);
  if (data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Value value = {};
  const CUresult result = GetAttribute(entry, FindTarget(pointer), attribute, pointer, &value);
  if (result != CUDA_SUCCESS) return result;
  if (!value.applies) return CUDA_ERROR_INVALID_VALUE;
  if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_POINTER && entry.context == nullptr) {
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  memcpy(data, &value.bits, value.bytes);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes,
                                             void** data, CUdeviceptr pointer) {
  HAMI_ENTER(Need::kInit);
  if (count == 0 || attributes == nullptr || data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Target target = FindTarget(pointer);
  for (unsigned i = 0; i < count; ++i) {
    Value value = {};
    const CUresult result = GetAttribute(entry, target, attributes[i], pointer, &value);
    if (result != CUDA_SUCCESS) return result;
    if (data[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    memcpy(data[i], &value.bits, value.bytes);
  }
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuPointerSetAttribute(const void* data, CUpointer_attribute attribute,
                                            CUdeviceptr pointer) {
  HAMI_ENTER(Need::kInit);
  const Target target = FindTarget(pointer);
  if (data == nullptr || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !target.has_memory) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  unsigned wanted = 0;
  memcpy(&wanted, data, sizeof(wanted));
  if (wanted > 1) return CUDA_ERROR_INVALID_VALUE;
  SetSynchronised(target.memory.buffer_id, wanted == 1);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes,
                                              CUdeviceptr pointer) {
  HAMI_ENTER(Need::kContext);
  const Target target = FindTarget(pointer);
  if (!target.has_memory) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = target.memory.base;
  if (bytes != nullptr) *bytes = target.memory.bytes;
  return CUDA_SUCCESS;
}
// Has 32-bit pointers, which cannot hold an address of a 64-bit process.
HAMI_SIM_API CUresult cuMemGetAddressRange(unsigned int*, unsigned int*, unsigned int) {
  return CUDA_ERROR_NOT_SUPPORTED;
}
