// SPDX-License-Identifier: Apache-2.0
//
// Stream-ordered allocation. In a capture these calls make nodes (graph_allocations.h).
//
// Not followed: dependencies between streams through events (REUSE_FOLLOW_EVENT_DEPENDENCIES); such
// a block is reused when its place is reached. Where the driver would make the stream wait for a
// block of another one (REUSE_ALLOW_INTERNAL_DEPENDENCIES), the host waits here.

#include "simgpu/cuda/pools.h"

#include "api/cuda/functions.h"
#include "simgpu/cuda/graph_allocations.h"
#include "simgpu/cuda/memory_host.h"

namespace hami::simgpu::cuda {
namespace {

// Whether the stream can take work: captured, or free of captures that it would break.
CUresult CheckStream(Stream& stream) {
  return stream.capture != nullptr ? CUDA_SUCCESS : CheckNotCaptured(stream.owner, &stream);
}

// Waits until something that was freed can be used. False: nothing is pending.
bool WaitForPending(Entry& entry, uint32_t device) {
  Place place;
  if (!FindPending(device, &place)) return false;
  entry.WaitFor(place);
  return true;
}

// Host memory needs no place of the timeline: nothing here reuses it.
CUresult AllocateFromHost(Context* context, const Stream& stream, Pool* pool, uint64_t bytes,
                          CUdeviceptr* out) {
  if (stream.capture != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  HostMemory* memory = EnterHost(context, 0, bytes, MemoryKind::kHost);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  memory->pool = pool;
  pool->used += bytes;
  pool->reserved += bytes;
  *out = memory->allocation.base;
  return CUDA_SUCCESS;
}

// False: it is no block of a pool of host memory.
bool FreeFromHost(uint64_t address) {
  HostMemory* memory = FindHostMemory(address);
  if (memory == nullptr || memory->pool == nullptr || memory->allocation.base != address) {
    return false;
  }
  if (IsLive(memory->pool, Kind::kPool)) {
    memory->pool->used -= memory->allocation.bytes;
    memory->pool->reserved -= memory->allocation.bytes;
  }
  RemoveHost(memory);
  return true;
}

CUresult AllocateAsync(CUdeviceptr* out, uint64_t bytes, const CUmemoryPool* pool_handle,
                       CUstream handle, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  while (true) {
    // Waiting gives up the lock, so what the handles mean is looked up each time.
    Stream* stream = ResolveStream(entry.context, handle, per_thread);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = CheckStream(*stream);
    if (result != CUDA_SUCCESS) return result;
    Pool* pool =
        pool_handle == nullptr ? CurrentPool(stream->owner->device) : Find<Pool>(*pool_handle);
    if (pool == nullptr || pool->imported) return CUDA_ERROR_INVALID_VALUE;
    if (pool->on_host) return AllocateFromHost(entry.context, *stream, pool, bytes, out);
    const uint32_t device = pool->device;
    if (stream->capture != nullptr) return CaptureAllocation(*stream, device, bytes, out);
    if (bytes > UsableBytes(ConfigOf(device))) return CUDA_ERROR_OUT_OF_MEMORY;
    if (const Block* block = TakeBlock(pool, bytes, EndOf(*stream))) {
      *out = block->base;
      return CUDA_SUCCESS;
    }
    if (!WaitForPending(entry, device)) return CUDA_ERROR_OUT_OF_MEMORY;
    if (!IsLive(entry.context, Kind::kContext)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
}

CUresult FreeAsync(CUdeviceptr address, CUstream handle, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  CUresult result = CheckStream(*stream);
  if (result != CUDA_SUCCESS) return result;
  if (stream->capture != nullptr) return CaptureFree(*stream, address);
  if (FreeGraphMemory(address, &result)) return result;
  if (FreeFromHost(address)) return CUDA_SUCCESS;
  if (FreeImportedPointer(address)) return CUDA_SUCCESS;
  if (Block* block = FindBlock(address)) {
    if (block->base != address) return CUDA_ERROR_INVALID_VALUE;
    ReturnBlock(block, EndOf(*stream));
    return CUDA_SUCCESS;
  }
  // Plain memory is allowed. The driver keeps it until the stream's next synchronisation; what is
  // queued before has done its reading and writing here, so it goes at once.
  return FreePlain(address);
}

}  // namespace

bool FreePooledNow(Entry&, uint64_t address, CUresult* result) {
  const Allocation* entered = FindEntered(address);
  if (entered == nullptr || entered->kind != MemoryKind::kPool) return false;
  Block* block = FindBlock(address);
  const bool is_allocation = block != nullptr && block->base == address;
  *result = is_allocation ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  // cuMemFree does not synchronise for memory of a pool: the program promises that nothing queued
  // still uses it (CUDA manual, cuMemFree).
  if (is_allocation) {
    Pool* pool = block->segment->pool;
    ReturnBlock(block, Place{});
    if (pool->destroyed) TrimPool(pool, 0);
  }
  return true;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  return AllocateAsync(pointer, bytes, nullptr, stream, false);
}
HAMI_SIM_API CUresult cuMemAllocAsync_ptsz(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  return AllocateAsync(pointer, bytes, nullptr, stream, true);
}
HAMI_SIM_API CUresult cuMemAllocFromPoolAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool,
                                              CUstream stream) {
  return AllocateAsync(pointer, bytes, &pool, stream, false);
}
HAMI_SIM_API CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr* pointer, size_t bytes,
                                                   CUmemoryPool pool, CUstream stream) {
  return AllocateAsync(pointer, bytes, &pool, stream, true);
}
HAMI_SIM_API CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
  return FreeAsync(pointer, stream, false);
}
HAMI_SIM_API CUresult cuMemFreeAsync_ptsz(CUdeviceptr pointer, CUstream stream) {
  return FreeAsync(pointer, stream, true);
}
