// SPDX-License-Identifier: Apache-2.0
//
// Launches as they were before CUDA 4, where the block shape and the parameters are set on the
// function (pycuda still sets the shape), and the cooperative launch on several devices, which CUDA
// 13 has taken out of its headers.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/item_event.h"
#include "simgpu/cuda/launch.h"

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

constexpr uint32_t kNoMultiDeviceLaunch = 13000;
constexpr unsigned kMostDevices = 64;
constexpr unsigned kNoWaitBefore = 1;
constexpr unsigned kNoWaitAfter = 2;

template <typename Set>
CUresult SetOn(CUfunction handle, Set set) {
  HAMI_ENTER(Need::kInit);
  auto* function = Find<Function>(handle);
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (function->old == nullptr) {
    function->old = static_cast<OldLaunch*>(AllocateZeroed(sizeof(OldLaunch)));
    function->old->block[0] = function->old->block[1] = function->old->block[2] = 1;
  }
  return set(*function->old);
}

CUresult SetParam(CUfunction function, int offset, const void* value, size_t bytes) {
  return SetOn(function, [&](OldLaunch& old) {
    if (value == nullptr || offset < 0 || bytes > sizeof(old.params) ||
        static_cast<size_t>(offset) > sizeof(old.params) - bytes) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy(old.params + offset, value, bytes);
    return CUDA_SUCCESS;
  });
}

CUresult LaunchOld(CUfunction function, int grid_x, int grid_y, CUstream stream) {
  if (grid_x <= 0 || grid_y <= 0) return CUDA_ERROR_INVALID_VALUE;
  OldLaunch old = {};
  const CUresult set = SetOn(function, [&](const OldLaunch& kept) {
    old = kept;
    return CUDA_SUCCESS;
  });
  if (set != CUDA_SUCCESS) return set;
  // CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE, CU_LAUNCH_PARAM_END.
  void* extra[] = {reinterpret_cast<void*>(1), old.params, reinterpret_cast<void*>(2), &old.bytes,
                   nullptr};
  return cuLaunchKernel(function, static_cast<unsigned>(grid_x), static_cast<unsigned>(grid_y), 1,
                        old.block[0], old.block[1], old.block[2], old.shared_bytes, stream, nullptr,
                        extra);
}

struct Part {
  Stream* stream;
  Op op;
};

bool IsSameShape(const CUDA_LAUNCH_PARAMS& a, const CUDA_LAUNCH_PARAMS& b) {
  return a.gridDimX == b.gridDimX && a.gridDimY == b.gridDimY && a.gridDimZ == b.gridDimZ &&
         a.blockDimX == b.blockDimX && a.blockDimY == b.blockDimY && a.blockDimZ == b.blockDimZ &&
         a.sharedMemBytes == b.sharedMemBytes;
}

CUresult ReadPart(const CUDA_LAUNCH_PARAMS& from, Part* part) {
  if (from.hStream == nullptr || from.hStream == HAMI_CU_STREAM_LEGACY ||
      from.hStream == HAMI_CU_STREAM_PER_THREAD) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  part->stream = Find<Stream>(from.hStream);
  if (part->stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (part->stream->capture != nullptr) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  Context* context = part->stream->owner;
  const unsigned grid[] = {from.gridDimX, from.gridDimY, from.gridDimZ};
  const unsigned block[] = {from.blockDimX, from.blockDimY, from.blockDimZ};
  const CUresult result = MakeKernelOp(context, from.function, grid, block, from.sharedMemBytes,
                                       from.kernelParams, nullptr, &part->op);
  if (result != CUDA_SUCCESS) return result;
  const uint64_t blocks = uint64_t{grid[0]} * grid[1] * grid[2];
  const auto& device = ConfigOf(context->device);
  const uint64_t at_once =
      uint64_t{device.multiprocessors} * BlocksPerMultiprocessor(device, *part->op.launch.function,
                                                                 block[0] * block[1] * block[2],
                                                                 from.sharedMemBytes);
  return blocks > at_once ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

// All streams wait for what each has got so far.
void WaitForEachOther(Entry& entry, const Part* parts, unsigned count) {
  hami::simgpu::Place places[kMostDevices];
  for (unsigned i = 0; i < count; ++i) places[i] = EndOf(*parts[i].stream);
  for (unsigned i = 0; i < count; ++i) {
    for (unsigned k = 0; k < count; ++k) {
      if (i == k || !IsLive(parts[i].stream, Kind::kStream)) continue;
      QueueWait(entry, *parts[i].stream, places[k]);
    }
  }
}

CUresult LaunchOnAll(const CUDA_LAUNCH_PARAMS* launches, unsigned count, unsigned flags) {
  HAMI_ENTER(Need::kContext);
  if (MachineOf().cuda_version >= kNoMultiDeviceLaunch) return CUDA_ERROR_NOT_SUPPORTED;
  if (launches == nullptr || count == 0 || count > process.device_count || count > kMostDevices ||
      flags > (kNoWaitBefore | kNoWaitAfter)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Part parts[kMostDevices];
  uint64_t devices = 0;
  for (unsigned i = 0; i < count; ++i) {
    const CUresult result = ReadPart(launches[i], &parts[i]);
    if (result != CUDA_SUCCESS) return result;
    const uint64_t device = uint64_t{1} << parts[i].stream->owner->device % 64;
    const bool same =
        IsSameShape(launches[0], launches[i]) &&
        strcmp(parts[i].op.launch.function->name, parts[0].op.launch.function->name) == 0;
    if ((devices & device) != 0 || !same) return CUDA_ERROR_INVALID_VALUE;
    devices |= device;
  }
  if ((flags & kNoWaitBefore) == 0) WaitForEachOther(entry, parts, count);
  for (unsigned i = 0; i < count; ++i) {
    if (IsLive(parts[i].stream, Kind::kStream)) Queue(entry, *parts[i].stream, parts[i].op);
  }
  for (unsigned i = 0; i < count; ++i) {
    if (!IsLive(parts[i].stream, Kind::kStream)) return CUDA_SUCCESS;
  }
  if ((flags & kNoWaitAfter) == 0) WaitForEachOther(entry, parts, count);
  return CUDA_SUCCESS;
}

}  // namespace

HAMI_SIM_API CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z) {
  return SetOn(function, [&](OldLaunch& old) {
    if (x <= 0 || y <= 0 || z <= 0) return CUDA_ERROR_INVALID_VALUE;
    old.block[0] = static_cast<unsigned>(x);
    old.block[1] = static_cast<unsigned>(y);
    old.block[2] = static_cast<unsigned>(z);
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuFuncSetSharedSize(CUfunction function, unsigned int bytes) {
  return SetOn(function, [&](OldLaunch& old) {
    old.shared_bytes = bytes;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuParamSetSize(CUfunction function, unsigned int bytes) {
  return SetOn(function, [&](OldLaunch& old) {
    if (bytes > sizeof(old.params)) return CUDA_ERROR_INVALID_VALUE;
    old.bytes = bytes;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuParamSeti(CUfunction function, int offset, unsigned int value) {
  return SetParam(function, offset, &value, sizeof(value));
}
HAMI_SIM_API CUresult cuParamSetf(CUfunction function, int offset, float value) {
  return SetParam(function, offset, &value, sizeof(value));
}
HAMI_SIM_API CUresult cuParamSetv(CUfunction function, int offset, void* value,
                                  unsigned int bytes) {
  return SetParam(function, offset, value, bytes);
}

HAMI_SIM_API CUresult cuLaunch(CUfunction function) { return LaunchOld(function, 1, 1, nullptr); }
HAMI_SIM_API CUresult cuLaunchGrid(CUfunction function, int grid_x, int grid_y) {
  return LaunchOld(function, grid_x, grid_y, nullptr);
}
HAMI_SIM_API CUresult cuLaunchGridAsync(CUfunction function, int grid_x, int grid_y,
                                        CUstream stream) {
  return LaunchOld(function, grid_x, grid_y, stream);
}
HAMI_SIM_API CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS* launches,
                                                           unsigned int count, unsigned int flags) {
  return LaunchOnAll(launches, count, flags);
}
