// SPDX-License-Identifier: Apache-2.0
//
// Memory of another interface, such as Vulkan. There is none here, so any file that is long enough
// (a memfd) stands for a piece of it: what that interface would have taken of the device is taken
// when the file is imported, and given back when the import and every buffer on it are gone.
// Content is the buffer's own; the file's is neither read nor written. Not simulated: other handles
// than opaque descriptors.

#include <unistd.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/arrays.h"
#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {

struct ExternalBuffer {
  Allocation allocation;
  struct External* external;
  ExternalBuffer* next;
};

struct External : Object {
  static constexpr Kind kKind = Kind::kExternal;
  uint64_t bytes;     // as the program says
  uint64_t physical;  // as taken from the device
  int fd;             // the driver's since the import
  bool imported;      // the handle is good
  ExternalBuffer* buffers;
};

namespace {

constexpr unsigned kDedicated = 1;  // CUDA_EXTERNAL_MEMORY_DEDICATED

void RemoveBuffer(ExternalBuffer* buffer) {
  const Allocation& allocation = buffer->allocation;
  RemoveAllocation(&buffer->allocation);
  ReleaseAddresses(allocation.base, allocation.physical_bytes);
  Deallocate(buffer);
}

void Delete(External* external) {
  GivePhysical(external->owner->device, external->physical);
  close(external->fd);
  DeleteObject(external);
}

External* FindImported(CUexternalMemory handle) {
  auto* external = Find<External>(handle);
  return external != nullptr && external->imported ? external : nullptr;
}

// By seeking: fstat as a function of its own came only with glibc 2.33.
bool IsLongEnough(int fd, uint64_t bytes) {
  const off_t at = lseek(fd, 0, SEEK_CUR);
  const off_t end = lseek(fd, 0, SEEK_END);
  if (at >= 0) lseek(fd, at, SEEK_SET);
  return end >= 0 && static_cast<uint64_t>(end) >= bytes;
}

CUresult Import(CUexternalMemory* out, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC* desc) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || desc == nullptr || desc->size == 0 || (desc->flags & ~kDedicated) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (desc->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD) return CUDA_ERROR_NOT_SUPPORTED;
  if (!IsLongEnough(desc->handle.fd, desc->size)) return CUDA_ERROR_INVALID_HANDLE;
  const uint64_t physical = RoundUp(desc->size, kChunkBytes);
  if (!TakePhysical(entry.context->device, physical)) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* made = NewObject<External>(entry.context);
  made->bytes = desc->size;
  made->physical = physical;
  made->fd = desc->handle.fd;
  made->imported = true;
  *out = reinterpret_cast<CUexternalMemory>(made);
  return CUDA_SUCCESS;
}

// Addresses for a part of it.
CUresult MapPart(External* external, uint64_t offset, uint64_t bytes, uint64_t* address) {
  if (bytes == 0 || bytes > external->bytes || offset > external->bytes - bytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t base = ReserveAddresses(RoundUp(bytes, kChunkBytes));
  if (base == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* buffer = static_cast<ExternalBuffer*>(AllocateZeroed(sizeof(ExternalBuffer)));
  Allocation& allocation = buffer->allocation;
  allocation.base = base;
  allocation.bytes = bytes;
  allocation.physical_bytes = RoundUp(bytes, kChunkBytes);
  allocation.context = external->owner;
  allocation.device = external->owner->device;
  allocation.kind = MemoryKind::kExternal;
  EnterAllocation(&allocation);
  buffer->external = external;
  buffer->next = external->buffers;
  external->buffers = buffer;
  *address = base;
  return CUDA_SUCCESS;
}

CUresult MapBuffer(uint64_t* address, CUexternalMemory handle,
                   const CUDA_EXTERNAL_MEMORY_BUFFER_DESC* desc) {
  HAMI_ENTER(Need::kContext);
  External* external = FindImported(handle);
  if (address == nullptr || desc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (external == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (desc->flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return MapPart(external, desc->offset, desc->size, address);
}

CUresult MapLevels(CUmipmappedArray* out, CUexternalMemory handle,
                   const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC* desc) {
  HAMI_ENTER(Need::kContext);
  External* external = FindImported(handle);
  if (out == nullptr || desc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (external == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult shape = CheckArrayShape(desc->arrayDesc);
  if (shape != CUDA_SUCCESS) return shape;
  if (desc->numLevels == 0) return CUDA_ERROR_INVALID_VALUE;
  const uint32_t count = CountLevels(desc->arrayDesc, desc->numLevels);
  uint64_t offsets[Mipmap::kMaxLevels];
  const uint64_t bytes = LayOutLevels(desc->arrayDesc, count, offsets);
  uint64_t base = 0;
  const CUresult result = MapPart(external, desc->offset, bytes, &base);
  if (result != CUDA_SUCCESS) return result;
  Mipmap* mipmap = NewLevels(external->owner, desc->arrayDesc, count, base);
  mipmap->imported = true;
  *out = reinterpret_cast<CUmipmappedArray>(mipmap);
  return CUDA_SUCCESS;
}

CUresult Destroy(CUexternalMemory handle) {
  HAMI_ENTER(Need::kInit);
  External* external = FindImported(handle);
  if (external == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  external->imported = false;
  if (external->buffers == nullptr) Delete(external);
  return CUDA_SUCCESS;
}

}  // namespace

bool FreeExternal(uint64_t address) {
  Allocation* entered = FindEntered(address);
  if (entered == nullptr || entered->kind != MemoryKind::kExternal || entered->base != address) {
    return false;
  }
  auto* buffer = reinterpret_cast<ExternalBuffer*>(entered);  // its first member
  External* external = buffer->external;
  ExternalBuffer** at = &external->buffers;
  while (*at != buffer) at = &(*at)->next;
  *at = buffer->next;
  RemoveBuffer(buffer);
  if (external->buffers == nullptr && !external->imported) Delete(external);
  return true;
}

void DestroyExternal(External* external) {
  while (external->buffers != nullptr) {
    ExternalBuffer* buffer = external->buffers;
    external->buffers = buffer->next;
    RemoveBuffer(buffer);
  }
  Delete(external);
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuImportExternalMemory(CUexternalMemory* out,
                                             const CUDA_EXTERNAL_MEMORY_HANDLE_DESC* desc) {
  return Import(out, desc);
}
HAMI_SIM_API CUresult cuExternalMemoryGetMappedBuffer(
    CUdeviceptr* pointer, CUexternalMemory external, const CUDA_EXTERNAL_MEMORY_BUFFER_DESC* desc) {
  uint64_t address = 0;
  const CUresult result = MapBuffer(pointer != nullptr ? &address : nullptr, external, desc);
  if (result == CUDA_SUCCESS) *pointer = address;
  return result;
}
HAMI_SIM_API CUresult
cuExternalMemoryGetMappedMipmappedArray(CUmipmappedArray* array, CUexternalMemory external,
                                        const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC* desc) {
  return MapLevels(array, external, desc);
}
HAMI_SIM_API CUresult cuDestroyExternalMemory(CUexternalMemory external) {
  return Destroy(external);
}
