// SPDX-License-Identifier: Apache-2.0
//
// Copies and sets. The content changes at the call, the time passes on the device: a program that
// waits for its copies, as it must, cannot tell. A synchronous form waits for the device.

#include "simgpu/cuda/copies.h"

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {
namespace {

enum class Way : uint8_t { kToDevice, kToHost, kOnDevice };

bool IsManagedOrHost(uint64_t address) { return FindHost(address) != nullptr; }

// A pointer that a function takes for a device's: device memory, or host memory that the device
// sees.
bool IsUsable(uint64_t address, uint64_t bytes) {
  return IsDeviceAddress(address) ? IsBacked(address, bytes) : IsManagedOrHost(address);
}

void Move(uint64_t to, uint64_t from, uint64_t bytes) {
  if (IsDeviceAddress(to)) {
    if (IsDeviceAddress(from))
      CopyContent(to, from, bytes);
    else
      WriteContent(to, reinterpret_cast<const void*>(from), bytes);
  } else if (IsDeviceAddress(from)) {
    ReadContent(from, reinterpret_cast<void*>(to), bytes);
  } else {
    memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  }
}

Op CopyOp(const Context& context, uint64_t bytes, Way way) {
  Op op = {};
  op.kind = OpKind::kCopy;
  op.work = way == Way::kToDevice ? WorkKind::kCopyToDevice
            : way == Way::kToHost ? WorkKind::kCopyToHost
                                  : WorkKind::kKernel;
  op.demand_q16 = 65536;  // on the device a copy takes all of the memory's bandwidth
  op.ns = CopyNs(context, bytes, op.work);
  return op;
}

CUresult Copy(uint64_t to, uint64_t from, uint64_t bytes, Way way, const CopyCall& call) {
  HAMI_ENTER(Need::kContext);
  if (bytes == 0) return CUDA_SUCCESS;
  const bool to_ok = way == Way::kToHost ? to != 0 : IsUsable(to, bytes);
  const bool from_ok = way == Way::kToDevice ? from != 0 : IsUsable(from, bytes);
  if (!to_ok || !from_ok) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = ResolveStream(entry.context, call.stream, call.per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture == nullptr) Move(to, from, bytes);
  const bool captured = stream->capture != nullptr;
  const CUresult result = FinishCopy(entry, *stream, CopyOp(*entry.context, bytes, way), call.wait);
  if (captured && result == CUDA_SUCCESS) KeepCopy(*stream, to, from, bytes);
  return result;
}

// Which way a copy between any two addresses goes: unified addressing.
CUresult CopyAny(uint64_t to, uint64_t from, uint64_t bytes, const CopyCall& call) {
  const Way way = !IsDeviceAddress(to)     ? Way::kToHost
                  : !IsDeviceAddress(from) ? Way::kToDevice
                                           : Way::kOnDevice;
  return Copy(to, from, bytes, way, call);
}

CUresult Fill(uint64_t to, uint32_t pattern, uint32_t width, uint64_t count, const CopyCall& call) {
  HAMI_ENTER(Need::kContext);
  if (count == 0) return CUDA_SUCCESS;
  if (to % width != 0 || !IsUsable(to, count * width)) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = ResolveStream(entry.context, call.stream, call.per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture == nullptr) {
    if (IsDeviceAddress(to)) {
      FillContent(to, pattern, width, count);
    } else {
      for (uint64_t i = 0; i < count; ++i) {
        memcpy(reinterpret_cast<char*>(to) + i * width, &pattern, width);
      }
    }
  }
  Op op = CopyOp(*entry.context, count * width, Way::kOnDevice);
  op.kind = OpKind::kSet;
  // A set does not wait, also where its name has no Async (CUDA manual, "API synchronization
  // behavior").
  const bool captured = stream->capture != nullptr;
  const CUresult result = FinishCopy(entry, *stream, op, false);
  if (captured && result == CUDA_SUCCESS) KeepSet(*stream, to, pattern, width, count);
  return result;
}

CUresult Fill2D(uint64_t to, size_t pitch, uint32_t pattern, uint32_t width, size_t columns,
                size_t rows, const CopyCall& call) {
  if (columns * width > pitch && rows > 1) return CUDA_ERROR_INVALID_VALUE;
  for (size_t row = 0; row < rows; ++row) {
    const CUresult result = Fill(to + row * pitch, pattern, width, columns, call);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

uint64_t Number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

CUresult FinishCopy(Entry& entry, Stream& stream, const Op& op, bool wait) {
  if (wait) {
    const CUresult captured = CheckNotCaptured(entry.context, &stream);
    if (captured != CUDA_SUCCESS) return captured;
  }
  const CUresult result = Perform(entry, stream, op);
  if (result != CUDA_SUCCESS || !wait) return result;
  entry.WaitFor(EndOf(stream));
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

SYNCHRONOUS(cuMemcpy, _ptds, (CUdeviceptr to, CUdeviceptr from, size_t n),
            CopyAny(to, from, n, call))
SYNCHRONOUS(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr to, const void* from, size_t n),
            Copy(to, Number(from), n, Way::kToDevice, call))
SYNCHRONOUS(cuMemcpyDtoH_v2, _ptds, (void* to, CUdeviceptr from, size_t n),
            Copy(Number(to), from, n, Way::kToHost, call))
SYNCHRONOUS(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr to, CUdeviceptr from, size_t n),
            Copy(to, from, n, Way::kOnDevice, call))
SYNCHRONOUS(cuMemcpyPeer, _ptds, (CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t n),
            Copy(to, from, n, Way::kOnDevice, call))
SYNCHRONOUS(cuMemsetD8_v2, _ptds, (CUdeviceptr to, unsigned char v, size_t n),
            Fill(to, v, 1, n, call))
SYNCHRONOUS(cuMemsetD16_v2, _ptds, (CUdeviceptr to, unsigned short v, size_t n),
            Fill(to, v, 2, n, call))
SYNCHRONOUS(cuMemsetD32_v2, _ptds, (CUdeviceptr to, unsigned v, size_t n), Fill(to, v, 4, n, call))
SYNCHRONOUS(cuMemsetD2D8_v2, _ptds,
            (CUdeviceptr to, size_t pitch, unsigned char v, size_t w, size_t h),
            Fill2D(to, pitch, v, 1, w, h, call))
SYNCHRONOUS(cuMemsetD2D16_v2, _ptds,
            (CUdeviceptr to, size_t pitch, unsigned short v, size_t w, size_t h),
            Fill2D(to, pitch, v, 2, w, h, call))
SYNCHRONOUS(cuMemsetD2D32_v2, _ptds, (CUdeviceptr to, size_t pitch, unsigned v, size_t w, size_t h),
            Fill2D(to, pitch, v, 4, w, h, call))

STREAM_ORDERED(cuMemcpyAsync, (CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream),
               CopyAny(to, from, n, call))
STREAM_ORDERED(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream),
               Copy(to, from, n, Way::kOnDevice, call))
STREAM_ORDERED(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void* from, size_t n, CUstream stream),
               Copy(to, Number(from), n, Way::kToDevice, call))
STREAM_ORDERED(cuMemcpyDtoHAsync_v2, (void* to, CUdeviceptr from, size_t n, CUstream stream),
               Copy(Number(to), from, n, Way::kToHost, call))
STREAM_ORDERED(cuMemcpyPeerAsync,
               (CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext, size_t n, CUstream stream),
               Copy(to, from, n, Way::kOnDevice, call))
STREAM_ORDERED(cuMemsetD8Async, (CUdeviceptr to, unsigned char v, size_t n, CUstream stream),
               Fill(to, v, 1, n, call))
STREAM_ORDERED(cuMemsetD16Async, (CUdeviceptr to, unsigned short v, size_t n, CUstream stream),
               Fill(to, v, 2, n, call))
STREAM_ORDERED(cuMemsetD32Async, (CUdeviceptr to, unsigned v, size_t n, CUstream stream),
               Fill(to, v, 4, n, call))
STREAM_ORDERED(cuMemsetD2D8Async,
               (CUdeviceptr to, size_t pitch, unsigned char v, size_t w, size_t h, CUstream stream),
               Fill2D(to, pitch, v, 1, w, h, call))
STREAM_ORDERED(cuMemsetD2D16Async,
               (CUdeviceptr to, size_t pitch, unsigned short v, size_t w, size_t h,
                CUstream stream),
               Fill2D(to, pitch, v, 2, w, h, call))
STREAM_ORDERED(cuMemsetD2D32Async,
               (CUdeviceptr to, size_t pitch, unsigned v, size_t w, size_t h, CUstream stream),
               Fill2D(to, pitch, v, 4, w, h, call))
