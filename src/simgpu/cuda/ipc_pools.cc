// SPDX-License-Identifier: Apache-2.0
//
// Pools that other processes open. A descriptor says which pool of which process it is; an exported
// pointer makes the segment that it lies in shared memory (shared.h), which the other process maps
// as a whole. The memory stays the exporter's: it goes when he gives its segment back and nobody
// has a pointer of it any more.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/pools.h"
#include "simgpu/cuda/shared.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kDataMagic = 0x31707069'6d6973;  // "simipp1"

// What a CUmemPoolPtrExportData holds.
struct PointerData {
  uint64_t magic;
  uint64_t share_id;
  uint32_t index;
  uint32_t generation;
  uint64_t offset;
};

// A segment of another process, mapped here.
struct ImportedSegment {
  uint32_t index;
  uint32_t generation;
  Allocation* allocation;
  uint32_t pointers;
};

struct ImportedPointer {
  uint64_t address;
  ImportedSegment* segment;
  ImportedPointer* next;
};
ImportedPointer* first_pointer;
uint32_t exported;  // pools of this process so far

constexpr int kCountBits = 20;
constexpr int kDeviceShift = 34;
constexpr uint64_t kDeviceMask = 0x3f;

// Device, client and a count: different for all pools of the machine that live at a time.
uint64_t NewShareId(uint32_t device) {
  const uint64_t count = ++exported & ((1U << kCountBits) - 1);
  return uint64_t{device} << kDeviceShift | uint64_t{process.machine.client} << kCountBits | count;
}

bool IsDeviceHere(uint32_t device) {
  for (uint32_t ordinal = 0; ordinal < process.device_count; ++ordinal) {
    if (process.devices[ordinal] == device) return true;
  }
  return false;
}

ImportedSegment* FindSegment(const PointerData& data) {
  for (ImportedPointer* at = first_pointer; at != nullptr; at = at->next) {
    ImportedSegment* segment = at->segment;
    if (segment->index == data.index && segment->generation == data.generation) return segment;
  }
  return nullptr;
}

ImportedSegment* MapSegment(const Pool& pool, const PointerData& data) {
  if (!HoldImported(data.index, data.generation)) return nullptr;
  const uint32_t shared_plus_1 = data.index + 1;
  const SharedMemory& memory = SharedOf(shared_plus_1);
  const bool fits = memory.device == pool.device && data.offset < memory.bytes;
  const uint64_t base = fits ? ReserveAddresses(memory.bytes) : 0;
  if (base == 0) {
    DropShared(shared_plus_1);
    return nullptr;
  }
  auto* allocation = static_cast<Allocation*>(AllocateZeroed(sizeof(Allocation)));
  allocation->base = base;
  allocation->bytes = memory.bytes;
  allocation->physical_bytes = memory.bytes;
  allocation->device = memory.device;
  allocation->kind = MemoryKind::kImported;
  allocation->shared_plus_1 = shared_plus_1;
  EnterAllocation(allocation);
  ShowSharedContent(shared_plus_1, base, memory.bytes, false);
  auto* segment = static_cast<ImportedSegment*>(AllocateZeroed(sizeof(ImportedSegment)));
  *segment = {data.index, data.generation, allocation, 0};
  return segment;
}

// Takes the pointer out of its link; the last one of a segment unmaps it.
void Drop(ImportedPointer** link) {
  ImportedPointer* pointer = *link;
  ImportedSegment* segment = pointer->segment;
  *link = pointer->next;
  Deallocate(pointer);
  if (--segment->pointers > 0) return;
  FreeOwnedMemory(segment->allocation->base);
  Deallocate(segment);
}

}  // namespace

bool FreeImportedPointer(uint64_t address) {
  for (ImportedPointer** at = &first_pointer; *at != nullptr; at = &(*at)->next) {
    if ((*at)->address != address) continue;
    Drop(at);
    return true;
  }
  return false;
}

void ReleaseImportedPointers(uint32_t device) {
  for (ImportedPointer** at = &first_pointer; *at != nullptr;) {
    if ((*at)->segment->allocation->device == device) {
      Drop(at);
    } else {
      at = &(*at)->next;
    }
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

// CUmemPoolPtrExportData.
struct MemPoolPtrExportData {
  unsigned char reserved[64];
};
static_assert(sizeof(PointerData) <= sizeof(MemPoolPtrExportData));

}  // namespace

HAMI_SIM_API CUresult cuMemPoolExportToShareableHandle(void* out, CUmemoryPool handle,
                                                       CUmemAllocationHandleType type,
                                                       unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  auto* pool = Find<Pool>(handle);
  if (out == nullptr || pool == nullptr || flags != 0 || !pool->shareable || pool->imported) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_INVALID_VALUE;
  if (pool->share_id == 0) pool->share_id = NewShareId(pool->device);
  const int fd = ExportNumber(pool->share_id);
  if (fd < 0) return CUDA_ERROR_OPERATING_SYSTEM;
  *static_cast<int*>(out) = fd;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool* out, void* given,
                                                         CUmemAllocationHandleType type,
                                                         unsigned long long flags) {
  HAMI_ENTER(Need::kInit);
  uint64_t share_id = 0;
  const auto fd = static_cast<int>(reinterpret_cast<intptr_t>(given));
  if (out == nullptr || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
      !ReadNumber(fd, &share_id)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const auto device = static_cast<uint32_t>(share_id >> kDeviceShift & kDeviceMask);
  if (!IsDeviceHere(device)) return CUDA_ERROR_INVALID_DEVICE;
  Pool* pool = MakePool(device);
  pool->imported = true;
  pool->share_id = share_id;
  *out = reinterpret_cast<CUmemoryPool>(pool);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolExportPointer(MemPoolPtrExportData* out, CUdeviceptr address) {
  HAMI_ENTER(Need::kInit);
  const Block* block = FindBlock(address);
  if (out == nullptr || block == nullptr || block->base != address ||
      block->segment->pool->share_id == 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Allocation& memory = block->segment->allocation;
  if (memory.shared_plus_1 == 0) {
    if (!Share(memory.device, memory.physical_bytes, &memory.shared_plus_1)) {
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
    ShowSharedContent(memory.shared_plus_1, memory.base, memory.physical_bytes, true);
  }
  const PointerData data = {kDataMagic, block->segment->pool->share_id, memory.shared_plus_1 - 1,
                            SharedOf(memory.shared_plus_1).generation, address - memory.base};
  memset(out, 0, sizeof(*out));
  memcpy(out, &data, sizeof(data));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemPoolImportPointer(CUdeviceptr* out, CUmemoryPool handle,
                                             MemPoolPtrExportData* given) {
  HAMI_ENTER(Need::kInit);
  const auto* pool = Find<Pool>(handle);
  if (out == nullptr || given == nullptr || pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  PointerData data;
  memcpy(&data, given, sizeof(data));
  if (data.magic != kDataMagic || !pool->imported || data.share_id != pool->share_id ||
      data.index >= hami::simgpu::kMaxShared) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  ImportedSegment* segment = FindSegment(data);
  if (segment == nullptr) segment = MapSegment(*pool, data);
  if (segment == nullptr || data.offset >= segment->allocation->bytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  ++segment->pointers;
  auto* pointer = static_cast<ImportedPointer*>(AllocateZeroed(sizeof(ImportedPointer)));
  *pointer = {segment->allocation->base + data.offset, segment, first_pointer};
  first_pointer = pointer;
  *out = pointer->address;
  return CUDA_SUCCESS;
}
