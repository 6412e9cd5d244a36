// SPDX-License-Identifier: Apache-2.0
//
// Copies of rectangles and boxes, and copies from and to arrays.

#include "api/cuda/functions.h"
#include "simgpu/cuda/arrays.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/copies.h"

namespace hami::simgpu::cuda {
namespace {

// cuda.h: one side of CUDA_MEMCPY2D_v2.
struct Side2d {
  size_t x_bytes;
  size_t y;
  MemoryType type;
  void* host;
  CUdeviceptr device;
  CUarray array;
  size_t pitch;
};
struct Copy2d {
  Side2d from;
  Side2d to;
  size_t width_bytes;
  size_t height;
};
static_assert(sizeof(Copy2d) == 128);

CopySide SideOf(const Side2d& side) {
  return {side.x_bytes, side.y,     0,       0,          side.type, side.host,
          side.device,  side.array, nullptr, side.pitch, 0};
}

CUresult CopyBlock(const CopyParams& params, const CopyCall& call) {
  HAMI_ENTER(Need::kContext);
  Op op = {};
  const CUresult made = MakeCopyOp(*entry.context, params, &op);
  if (made != CUDA_SUCCESS) return made;
  if (params.width_bytes == 0 || params.height == 0 || params.depth == 0) return CUDA_SUCCESS;
  Stream* stream = ResolveStream(entry.context, call.stream, call.per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const bool captured = stream->capture != nullptr;
  if (!captured) MoveRows(params);
  const CUresult result = FinishCopy(entry, *stream, op, call.wait);
  if (captured && result == CUDA_SUCCESS) KeepBlock(*stream, params);
  return result;
}

CUresult CopyRectangle(const Copy2d* copy, const CopyCall& call) {
  if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return CopyBlock({SideOf(copy->from), SideOf(copy->to), copy->width_bytes, copy->height, 1},
                   call);
}

CUresult CopyBox(const CopyParams* copy, const CopyCall& call) {
  return copy != nullptr ? CopyBlock(*copy, call) : CUDA_ERROR_INVALID_VALUE;
}

CopySide InArray(CUarray array, size_t x_bytes) {
  CopySide side = {};
  side.type = MemoryType::kArray;
  side.array = array;
  side.x_bytes = x_bytes;
  return side;
}
CopySide OnDevice(CUdeviceptr address) {
  CopySide side = {};
  side.type = MemoryType::kDevice;
  side.device = address;
  return side;
}
CopySide OnHost(const void* address) {
  CopySide side = {};
  side.type = MemoryType::kHost;
  side.host = const_cast<void*>(address);
  return side;
}

// Bytes of the first row of an array (the forms with an offset are for arrays of one dimension).
CUresult CopyRow(const CopySide& to, const CopySide& from, size_t bytes, const CopyCall& call) {
  return CopyBlock({from, to, bytes, 1, 1}, call);
}

}  // namespace
}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

SYNCHRONOUS(cuMemcpy2D_v2, _ptds, (const Copy2d* copy), CopyRectangle(copy, call))
SYNCHRONOUS(cuMemcpy2DUnaligned_v2, _ptds, (const Copy2d* copy), CopyRectangle(copy, call))
STREAM_ORDERED(cuMemcpy2DAsync_v2, (const Copy2d* copy, CUstream stream), CopyRectangle(copy, call))
SYNCHRONOUS(cuMemcpy3D_v2, _ptds, (const CopyParams* copy), CopyBox(copy, call))
STREAM_ORDERED(cuMemcpy3DAsync_v2, (const CopyParams* copy, CUstream stream), CopyBox(copy, call))

SYNCHRONOUS(cuMemcpyDtoA_v2, _ptds, (CUarray to, size_t offset, CUdeviceptr from, size_t n),
            CopyRow(InArray(to, offset), OnDevice(from), n, call))
SYNCHRONOUS(cuMemcpyAtoD_v2, _ptds, (CUdeviceptr to, CUarray from, size_t offset, size_t n),
            CopyRow(OnDevice(to), InArray(from, offset), n, call))
SYNCHRONOUS(cuMemcpyHtoA_v2, _ptds, (CUarray to, size_t offset, const void* from, size_t n),
            CopyRow(InArray(to, offset), OnHost(from), n, call))
SYNCHRONOUS(cuMemcpyAtoH_v2, _ptds, (void* to, CUarray from, size_t offset, size_t n),
            CopyRow(OnHost(to), InArray(from, offset), n, call))
SYNCHRONOUS(cuMemcpyAtoA_v2, _ptds,
            (CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t n),
            CopyRow(InArray(to, to_offset), InArray(from, from_offset), n, call))
STREAM_ORDERED(cuMemcpyHtoAAsync_v2,
               (CUarray to, size_t offset, const void* from, size_t n, CUstream stream),
               CopyRow(InArray(to, offset), OnHost(from), n, call))
STREAM_ORDERED(cuMemcpyAtoHAsync_v2,
               (void* to, CUarray from, size_t offset, size_t n, CUstream stream),
               CopyRow(OnHost(to), InArray(from, offset), n, call))
