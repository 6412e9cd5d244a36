// SPDX-License-Identifier: Apache-2.0
//
// Handles for memory of cuMemAlloc that another process can open. What is shared is all that lies
// in the same 2 MiB; the handle says how far from its begin the allocation is.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/shared.h"
#include "simgpu/cuda/small_chunk.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kHandleMagic = 0x31637069'6d6973;  // "simipc1"

// What a CUipcMemHandle holds.
struct Handle {
  uint64_t magic;
  uint64_t machine;  // inode of the state
  uint32_t index;
  uint32_t generation;
  uint64_t offset;
};
static_assert(sizeof(Handle) <= sizeof(CUipcMemHandle));

// Opened ones. Opening one again in the same context counts.
struct Import {
  Handle handle;
  Context* context;
  Allocation* allocation;
  uint32_t opened;
  Import* next;
};
Import* imports;

// Makes what lies at the address shared, if it is not yet.
bool ShareAt(uint64_t address, uint32_t* shared_plus_1, uint64_t* base) {
  if (SmallChunk* chunk = FindSmallChunk(address)) {
    *base = chunk->base;
    if (chunk->shared_plus_1 == 0 &&
        Share(chunk->context->device, kChunkBytes, &chunk->shared_plus_1)) {
      ShowSharedContent(chunk->shared_plus_1, chunk->base, kChunkBytes, true);
    }
    *shared_plus_1 = chunk->shared_plus_1;
    return chunk->shared_plus_1 != 0;
  }
  Allocation* allocation = FindEntered(address);
  *base = allocation->base;
  if (allocation->shared_plus_1 == 0 &&
      Share(allocation->device, allocation->physical_bytes, &allocation->shared_plus_1)) {
    ShowSharedContent(allocation->shared_plus_1, allocation->base, allocation->physical_bytes,
                      true);
  }
  *shared_plus_1 = allocation->shared_plus_1;
  return allocation->shared_plus_1 != 0;
}

bool IsSame(const Handle& a, const Handle& b) {
  return a.index == b.index && a.generation == b.generation;
}

bool IsOwn(const Handle& handle) {
  const SharedMemory& memory = SharedOf(handle.index + 1);
  return memory.owner_plus_1 == process.machine.client + 1;
}

CUresult Open(Context* context, const Handle& handle, CUdeviceptr* out) {
  if (handle.magic != kHandleMagic || handle.machine != process.machine.file_inode ||
      handle.index >= kMaxShared) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (Import* import = imports; import != nullptr; import = import->next) {
    if (import->context != context || !IsSame(import->handle, handle)) continue;
    ++import->opened;
    *out = import->allocation->base + handle.offset;
    return CUDA_SUCCESS;
  }
  // The exporter has it already.
  if (IsOwn(handle)) return CUDA_ERROR_INVALID_CONTEXT;
  if (!HoldImported(handle.index, handle.generation)) return CUDA_ERROR_INVALID_VALUE;
  const uint32_t shared_plus_1 = handle.index + 1;
  const SharedMemory& memory = SharedOf(shared_plus_1);
  const uint64_t base = memory.device == context->device ? ReserveAddresses(memory.bytes) : 0;
  if (base == 0) {
    const bool elsewhere = memory.device != context->device;
    DropShared(shared_plus_1);
    return elsewhere ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
  }
  auto* allocation = static_cast<Allocation*>(AllocateZeroed(sizeof(Allocation)));
  allocation->base = base;
  allocation->bytes = memory.bytes;
  allocation->physical_bytes = memory.bytes;
  allocation->context = context;
  allocation->device = memory.device;
  allocation->kind = MemoryKind::kImported;
  allocation->shared_plus_1 = shared_plus_1;
  EnterAllocation(allocation);
  ShowSharedContent(shared_plus_1, base, memory.bytes, false);
  auto* import = static_cast<Import*>(AllocateZeroed(sizeof(Import)));
  *import = {handle, context, allocation, 1, imports};
  imports = import;
  *out = base + handle.offset;
  return CUDA_SUCCESS;
}

CUresult OpenHandle(CUdeviceptr* out, const CUipcMemHandle& given, unsigned flags) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || flags > 1) return CUDA_ERROR_INVALID_VALUE;
  Handle handle;
  memcpy(&handle, &given, sizeof(handle));
  return Open(entry.context, handle, out);
}

}  // namespace

void ForgetImports(const Context* context) {
  for (Import** at = &imports; *at != nullptr;) {
    Import* import = *at;
    if (import->context != context) {
      at = &import->next;
      continue;
    }
    *at = import->next;
    Deallocate(import);
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuIpcGetMemHandle(CUipcMemHandle* out, CUdeviceptr address) {
  HAMI_ENTER(Need::kContext);
  Allocation found;
  if (out == nullptr || !FindAllocation(address, &found) || found.kind != MemoryKind::kPlain) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  uint32_t shared_plus_1 = 0;
  uint64_t base = 0;
  if (!ShareAt(found.base, &shared_plus_1, &base)) return CUDA_ERROR_OPERATING_SYSTEM;
  const Handle handle = {kHandleMagic, process.machine.file_inode, shared_plus_1 - 1,
                         SharedOf(shared_plus_1).generation, found.base - base};
  memset(out, 0, sizeof(*out));
  memcpy(out, &handle, sizeof(handle));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuIpcOpenMemHandle(CUdeviceptr* out, CUipcMemHandle handle, unsigned flags) {
  return OpenHandle(out, handle, flags);
}
HAMI_SIM_API CUresult cuIpcOpenMemHandle_v2(CUdeviceptr* out, CUipcMemHandle handle,
                                            unsigned flags) {
  return OpenHandle(out, handle, flags);
}

HAMI_SIM_API CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
  HAMI_ENTER(Need::kContext);
  for (Import** at = &imports; *at != nullptr; at = &(*at)->next) {
    Import* import = *at;
    if (import->allocation->base + import->handle.offset != address) continue;
    if (--import->opened > 0) return CUDA_SUCCESS;
    *at = import->next;
    FreeOwnedMemory(import->allocation->base);
    Deallocate(import);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}
