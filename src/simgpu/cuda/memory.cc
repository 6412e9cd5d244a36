// SPDX-License-Identifier: Apache-2.0
//
// Plain memory: below 2 MiB from shared chunks, else in whole granules of the device. The figures
// of cuMemGetInfo are therefore the physical ones, as on hardware.

#include "simgpu/cuda/memory.h"

#include "api/cuda/functions.h"
#include "simgpu/cuda/shared.h"
#include "simgpu/cuda/small_chunk.h"
#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {
namespace {

bool TestBit(const uint64_t* bits, uint32_t at) { return (bits[at / 64] >> at % 64 & 1) != 0; }
void SetBit(uint64_t* bits, uint32_t at) { bits[at / 64] |= uint64_t{1} << at % 64; }
void ClearBit(uint64_t* bits, uint32_t at) { bits[at / 64] &= ~(uint64_t{1} << at % 64); }

// The chunks with room for allocations of this kind. Arrays are kept apart from what has an
// address (assumed).
SmallChunk*& ListOf(Context* context, MemoryKind kind) {
  return kind == MemoryKind::kArray ? context->array_chunks : context->chunks;
}

void List(SmallChunk* chunk) {
  SmallChunk*& first = ListOf(chunk->context, chunk->kind);
  chunk->listed = true;
  chunk->previous = nullptr;
  chunk->next = first;
  if (first != nullptr) first->previous = chunk;
  first = chunk;
}

void Unlist(SmallChunk* chunk) {
  chunk->listed = false;
  if (chunk->previous != nullptr)
    chunk->previous->next = chunk->next;
  else
    ListOf(chunk->context, chunk->kind) = chunk->next;
  if (chunk->next != nullptr) chunk->next->previous = chunk->previous;
}

// The first run of free granules that is long enough; -1, and then the bound is exact.
int FindRoom(SmallChunk* chunk, uint32_t granules) {
  uint32_t longest = 0;
  uint32_t run = 0;
  for (uint32_t at = 0; at < kGranules; ++at) {
    if (run == 0 && at % 64 == 0 && chunk->used[at / 64] == UINT64_MAX) {
      at += 63;
      continue;
    }
    run = TestBit(chunk->used, at) ? 0 : run + 1;
    if (run == granules) return static_cast<int>(at + 1 - granules);
    if (run > longest) longest = run;
  }
  chunk->largest_room = longest;
  return -1;
}

uint64_t TakeRoom(SmallChunk* chunk, uint32_t at, uint32_t granules, uint64_t bytes) {
  for (uint32_t i = at; i < at + granules; ++i) SetBit(chunk->used, i);
  SetBit(chunk->first, at);
  chunk->odd_bytes[at] = static_cast<uint16_t>(granules * kAlignment - bytes);
  ++chunk->live;
  return chunk->base + at * kAlignment;
}

uint64_t AllocateSmall(Context* context, uint64_t bytes, MemoryKind kind) {
  const auto granules = static_cast<uint32_t>(RoundUp(bytes, kAlignment) / kAlignment);
  for (SmallChunk* chunk = ListOf(context, kind); chunk != nullptr;) {
    SmallChunk* next = chunk->next;
    if (chunk->largest_room >= granules) {
      const int at = FindRoom(chunk, granules);
      if (at >= 0) return TakeRoom(chunk, static_cast<uint32_t>(at), granules, bytes);
    }
    // Nothing fits any more: found again when something in it is freed.
    if (chunk->largest_room == 0) Unlist(chunk);
    chunk = next;
  }
  if (!TakePhysical(context->device, kChunkBytes)) return 0;
  const uint64_t base = ReserveAddresses(kChunkBytes);
  if (base == 0) {
    GivePhysical(context->device, kChunkBytes);
    return 0;
  }
  auto* chunk = static_cast<SmallChunk*>(AllocateZeroed(sizeof(SmallChunk)));
  chunk->base = base;
  chunk->context = context;
  chunk->kind = kind;
  chunk->largest_room = kGranules;
  EnterSmallChunk(chunk);
  List(chunk);
  return TakeRoom(chunk, 0, granules, bytes);
}

// The granule at which the allocation begins that holds `at`, and its length.
bool FindRun(const SmallChunk& chunk, uint32_t at, uint32_t* first, uint32_t* granules) {
  if (!TestBit(chunk.used, at)) return false;
  uint32_t begin = at;
  while (!TestBit(chunk.first, begin)) --begin;
  uint32_t end = begin + 1;
  while (end < kGranules && TestBit(chunk.used, end) && !TestBit(chunk.first, end)) ++end;
  *first = begin;
  *granules = end - begin;
  return true;
}

void DropChunk(SmallChunk* chunk) {
  if (chunk->listed) Unlist(chunk);
  RemoveSmallChunk(chunk);
  ReleaseAddresses(chunk->base, kChunkBytes);
  GivePhysical(chunk->context->device, kChunkBytes, chunk->shared_plus_1);
  Deallocate(chunk);
}

CUresult FreeSmall(SmallChunk* chunk, uint64_t address) {
  const auto at = static_cast<uint32_t>((address - chunk->base) / kAlignment);
  uint32_t first = 0;
  uint32_t granules = 0;
  if (!FindRun(*chunk, at, &first, &granules) || chunk->base + first * kAlignment != address) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (uint32_t i = first; i < first + granules; ++i) ClearBit(chunk->used, i);
  ClearBit(chunk->first, first);
  chunk->largest_room = kGranules;  // a bound again; the next search makes it exact
  if (--chunk->live == 0)
    DropChunk(chunk);
  else if (!chunk->listed)
    List(chunk);
  return CUDA_SUCCESS;
}

uint64_t AllocateLarge(Context* context, uint64_t bytes, MemoryKind kind) {
  const uint64_t physical = RoundUp(bytes, kChunkBytes);
  if (!TakePhysical(context->device, physical)) return 0;
  const uint64_t base = ReserveAddresses(physical);
  if (base == 0) {
    GivePhysical(context->device, physical);
    return 0;
  }
  auto* made = static_cast<Allocation*>(AllocateZeroed(sizeof(Allocation)));
  made->base = base;
  made->bytes = bytes;
  made->physical_bytes = physical;
  made->context = context;
  made->device = context->device;
  made->kind = kind;
  EnterAllocation(made);
  return base;
}

void FreeLarge(Allocation* allocation) {
  RemoveAllocation(allocation);
  ReleaseAddresses(allocation->base, allocation->physical_bytes);
  GivePhysical(allocation->device, allocation->physical_bytes, allocation->shared_plus_1);
  Deallocate(allocation);
}

}  // namespace

CUresult AllocatePlain(Context* context, uint64_t bytes, MemoryKind kind, uint64_t* address) {
  if (bytes > UsableBytes(ConfigOf(context->device))) return CUDA_ERROR_OUT_OF_MEMORY;
  const bool small = bytes < kChunkBytes && kind != MemoryKind::kModule;
  *address = small ? AllocateSmall(context, bytes, kind) : AllocateLarge(context, bytes, kind);
  return *address != 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult FreePlain(uint64_t address) {
  if (SmallChunk* chunk = FindSmallChunk(address)) {
    return chunk->kind == MemoryKind::kPlain ? FreeSmall(chunk, address) : CUDA_ERROR_INVALID_VALUE;
  }
  Allocation* allocation = FindEntered(address);
  if (allocation == nullptr || allocation->base != address ||
      allocation->kind != MemoryKind::kPlain) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  FreeLarge(allocation);
  return CUDA_SUCCESS;
}

void FreeOwnedMemory(uint64_t address) {
  if (SmallChunk* chunk = FindSmallChunk(address)) {
    FreeSmall(chunk, address);
    return;
  }
  if (Allocation* allocation = FindEntered(address)) FreeLarge(allocation);
}

bool FindAllocation(uint64_t address, Allocation* found) {
  if (const SmallChunk* chunk = FindSmallChunk(address)) {
    uint32_t first = 0;
    uint32_t granules = 0;
    const auto at = static_cast<uint32_t>((address - chunk->base) / kAlignment);
    if (!FindRun(*chunk, at, &first, &granules)) return false;
    *found = {};
    found->base = chunk->base + first * kAlignment;
    found->bytes = granules * kAlignment - chunk->odd_bytes[first];
    found->physical_bytes = granules * kAlignment;
    found->context = chunk->context;
    found->device = chunk->context->device;
    found->kind = chunk->kind;
    found->buffer_id = found->base / kAlignment;
    return true;
  }
  const Allocation* entered = FindEntered(address);
  if (entered == nullptr) return false;
  if (entered->kind == MemoryKind::kPool) return FindInPool(*entered, address, found);
  *found = *entered;
  return true;
}

void ReleaseContextMemory(Context* context) {
  ReleaseHostMemory(context);
  ForgetImports(context);
  ForEachEntry(context, [](void* with, Allocation* allocation, SmallChunk* chunk) {
    const auto* owner = static_cast<Context*>(with);
    if (chunk != nullptr) {
      if (chunk->context == owner) DropChunk(chunk);
    } else if (allocation->context == owner &&
               (allocation->kind == MemoryKind::kPlain || allocation->kind == MemoryKind::kModule ||
                allocation->kind == MemoryKind::kArray ||
                allocation->kind == MemoryKind::kImported)) {
      FreeLarge(allocation);
    }
  });
  if (context->primary) {
    ReleasePools(context->device);
    ReleaseGraphMemory(context);
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

CUresult Allocate(uint64_t bytes, uint64_t* address) {
  HAMI_ENTER(Need::kContext);
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  return AllocatePlain(entry.context, bytes, hami::simgpu::cuda::MemoryKind::kPlain, address);
}

CUresult Free(uint64_t address) {
  HAMI_ENTER(Need::kFreeing);
  if (address == 0) return CUDA_SUCCESS;
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  CUresult result = CUDA_SUCCESS;
  // Freeing synchronises with all streams (CUDA C++ Programming Guide, "Stream Ordered Memory
  // Allocator"); what came from a pool only with its own past, in FreePooledNow.
  Allocation found;
  if (FindAllocation(address, &found) && found.kind != MemoryKind::kPool) {
    const Context* waited = entry.context != nullptr ? entry.context : found.context;
    if (waited != nullptr) WaitForAllStreams(entry, *waited);
  }
  if (FreeImportedPointer(address)) return CUDA_SUCCESS;
  if (FreeManaged(address) || FreeExternal(address) || FreePooledNow(entry, address, &result) ||
      FreeGraphMemory(address, &result)) {
    return result;
  }
  return FreePlain(address);
}

// Free and total as the process sees them: of its current context's device.
CUresult GetInfo(uint64_t* free_bytes, uint64_t* total_bytes) {
  HAMI_ENTER(Need::kContext);
  hami::simgpu::State& state = *process.machine.state;
  const uint32_t device = entry.context->device;
  hami::simgpu::LockGuard guard(process.machine);
  hami::simgpu::ReapDead(process.machine, state);
  *total_bytes = hami::simgpu::UsableBytes(ConfigOf(device));
  *free_bytes = *total_bytes - state.devices[device].used_bytes;
  return CUDA_SUCCESS;
}

unsigned Clamp(uint64_t bytes) {
  return bytes > UINT32_MAX ? UINT32_MAX : static_cast<unsigned>(bytes);
}

}  // namespace

HAMI_SIM_API CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes) {
  if (pointer == nullptr) return CUDA_ERROR_INVALID_VALUE;
  uint64_t address = 0;
  const CUresult result = Allocate(bytes, &address);
  if (result == CUDA_SUCCESS) *pointer = address;
  return result;
}

// The interface before CUDA 3.2 has 32-bit pointers: what lies above cannot be given out.
HAMI_SIM_API CUresult cuMemAlloc(unsigned int*, unsigned int) { return CUDA_ERROR_NOT_SUPPORTED; }
HAMI_SIM_API CUresult cuMemFree(unsigned int) { return CUDA_ERROR_NOT_SUPPORTED; }

HAMI_SIM_API CUresult cuMemAllocPitch_v2(CUdeviceptr* pointer, size_t* pitch, size_t width_bytes,
                                         size_t height, unsigned int element_bytes) {
  if (pointer == nullptr || pitch == nullptr || width_bytes == 0 || height == 0 ||
      (element_bytes != 4 && element_bytes != 8 && element_bytes != 16)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t row = RoundUp(width_bytes, kAlignment);
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(row, height, &bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  uint64_t address = 0;
  const CUresult result = Allocate(bytes, &address);
  if (result != CUDA_SUCCESS) return result;
  *pointer = address;
  *pitch = row;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMemFree_v2(CUdeviceptr pointer) { return Free(pointer); }

// Callers may pass NULL for what they do not want (OptiX does).
HAMI_SIM_API CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  uint64_t free_now = 0;
  uint64_t total = 0;
  const CUresult result = GetInfo(&free_now, &total);
  if (free_bytes != nullptr) *free_bytes = free_now;
  if (total_bytes != nullptr) *total_bytes = total;
  return result;
}
HAMI_SIM_API CUresult cuMemGetInfo(unsigned int* free_bytes, unsigned int* total_bytes) {
  uint64_t free_now = 0;
  uint64_t total = 0;
  const CUresult result = GetInfo(&free_now, &total);
  if (free_bytes != nullptr) *free_bytes = Clamp(free_now);
  if (total_bytes != nullptr) *total_bytes = Clamp(total);
  return result;
}
