// SPDX-License-Identifier: Apache-2.0
//
// Every way to start work on a GPU: charged alike. An error of the driver is returned as it is;
// what was charged for a refused launch is a few microseconds and not given back.

#include "preload/compute.h"
#include "preload/driver.h"
#include "preload/graph_memory.h"
#include "preload/sampler.h"

namespace hami::preload {
namespace {

enum class Sampling : bool { kForbidden, kAllowed };

template <typename Real>
inline __attribute__((always_inline)) CUresult Launch(const LaunchShape& shape, CUstream stream,
                                                      StreamForm form, Sampling sampling,
                                                      const Real& real) {
  switch (launch_words.mode.load(std::memory_order_relaxed)) {
    case LaunchMode::kPass:
      return real();
    case LaunchMode::kWatch:
      if (WatchFast()) [[likely]] {
        return real();
      }
      break;
    case LaunchMode::kLimit:
      if (AdmitFast(shape, stream)) [[likely]] {
        return real();
      }
      break;
    case LaunchMode::kAttach:
      if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
      break;
  }
  Sample* sample = AdmitSlow(shape, stream, form, sampling == Sampling::kAllowed);
  const CUresult result = real();
  if (sample != nullptr) EndSample(sample, stream, form, result == CUDA_SUCCESS);
  return result;
}

LaunchShape ShapeOf(const CUlaunchConfig& config, CUfunction function) {
  return {function,
          {config.gridDimX, config.gridDimY, config.gridDimZ},
          {config.blockDimX, config.blockDimY, config.blockDimZ},
          config.sharedMemBytes};
}

// A programmatic dependent launch may begin before its predecessor on the stream has ended; an
// event between the two would keep them apart.
bool IsProgrammatic(const CUlaunchConfig& config) {
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const CUlaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT) return true;
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION &&
        attribute.value.programmaticStreamSerializationAllowed != 0) {
      return true;
    }
  }
  return false;
}

template <typename Real>
CUresult LaunchEx(const CUlaunchConfig* config, CUfunction function, StreamForm form,
                  const Real& real) {
  if (config == nullptr) {
    return BindCuda() ? real() : CUDA_ERROR_NOT_INITIALIZED;
  }
  Sampling sampling = Sampling::kAllowed;
  if (config->numAttrs != 0 && IsProgrammatic(*config)) {
    // In a graph no event of ours can stand between launches.
    if (!IsCapturing(config->hStream, form)) StopSampling();
    sampling = Sampling::kForbidden;
  }
  return Launch(ShapeOf(*config, function), config->hStream, form, sampling, real);
}

LaunchShape GraphShape(CUgraphExec exec) { return {exec, {}, {}, 0}; }

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                                    unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                                    unsigned int block_z, unsigned int shared_bytes,
                                    CUstream stream, void** params, void** extra) {
  const LaunchShape shape = {
      function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes};
  return Launch(shape, stream, StreamForm::kLegacy, Sampling::kAllowed, [=] {
    return cuda.cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z,
                               shared_bytes, stream, params, extra);
  });
}

HAMI_EXPORT CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned int grid_x,
                                         unsigned int grid_y, unsigned int grid_z,
                                         unsigned int block_x, unsigned int block_y,
                                         unsigned int block_z, unsigned int shared_bytes,
                                         CUstream stream, void** params, void** extra) {
  const LaunchShape shape = {
      function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes};
  return Launch(shape, stream, StreamForm::kPerThread, Sampling::kAllowed, [=] {
    return cuda.cuLaunchKernel_ptsz(function, grid_x, grid_y, grid_z, block_x, block_y, block_z,
                                    shared_bytes, stream, params, extra);
  });
}

HAMI_EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function,
                                      void** params, void** extra) {
  return LaunchEx(config, function, StreamForm::kLegacy,
                  [=] { return cuda.cuLaunchKernelEx(config, function, params, extra); });
}

HAMI_EXPORT CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig* config, CUfunction function,
                                           void** params, void** extra) {
  return LaunchEx(config, function, StreamForm::kPerThread,
                  [=] { return cuda.cuLaunchKernelEx_ptsz(config, function, params, extra); });
}

HAMI_EXPORT CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x,
                                               unsigned int grid_y, unsigned int grid_z,
                                               unsigned int block_x, unsigned int block_y,
                                               unsigned int block_z, unsigned int shared_bytes,
                                               CUstream stream, void** params) {
  const LaunchShape shape = {
      function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes};
  return Launch(shape, stream, StreamForm::kLegacy, Sampling::kAllowed, [=] {
    return cuda.cuLaunchCooperativeKernel(function, grid_x, grid_y, grid_z, block_x, block_y,
                                          block_z, shared_bytes, stream, params);
  });
}

HAMI_EXPORT CUresult cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned int grid_x,
                                                    unsigned int grid_y, unsigned int grid_z,
                                                    unsigned int block_x, unsigned int block_y,
                                                    unsigned int block_z, unsigned int shared_bytes,
                                                    CUstream stream, void** params) {
  const LaunchShape shape = {
      function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes};
  return Launch(shape, stream, StreamForm::kPerThread, Sampling::kAllowed, [=] {
    return cuda.cuLaunchCooperativeKernel_ptsz(function, grid_x, grid_y, grid_z, block_x, block_y,
                                               block_z, shared_bytes, stream, params);
  });
}

// One call starts a kernel on each of several devices: each is charged, and measured, where its
// stream is.
HAMI_EXPORT CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS* launches,
                                                          unsigned int count, unsigned int flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  constexpr unsigned kMostDevices = 64;
  Sample* samples[kMostDevices] = {};
  const unsigned known = launches == nullptr ? 0 : count < kMostDevices ? count : kMostDevices;
  for (unsigned i = 0; i < known; ++i) {
    const CUDA_LAUNCH_PARAMS& one = launches[i];
    const LaunchShape shape = {one.function,
                               {one.gridDimX, one.gridDimY, one.gridDimZ},
                               {one.blockDimX, one.blockDimY, one.blockDimZ},
                               one.sharedMemBytes};
    samples[i] = AdmitSlow(shape, one.hStream, StreamForm::kLegacy, true);
  }
  const CUresult result = cuda.cuLaunchCooperativeKernelMultiDevice(launches, count, flags);
  for (unsigned i = 0; i < known; ++i) {
    if (samples[i] == nullptr) continue;
    EndSample(samples[i], launches[i].hStream, StreamForm::kLegacy, result == CUDA_SUCCESS);
  }
  return result;
}

// The oldest forms, before CUDA 4: the block shape was set on the function.
HAMI_EXPORT CUresult cuLaunch(CUfunction function) {
  return Launch({function, {1, 1, 1}, {}, 0}, nullptr, StreamForm::kLegacy, Sampling::kAllowed,
                [=] { return cuda.cuLaunch(function); });
}

HAMI_EXPORT CUresult cuLaunchGrid(CUfunction function, int grid_x, int grid_y) {
  const LaunchShape shape = {
      function, {static_cast<uint32_t>(grid_x), static_cast<uint32_t>(grid_y), 1}, {}, 0};
  return Launch(shape, nullptr, StreamForm::kLegacy, Sampling::kAllowed,
                [=] { return cuda.cuLaunchGrid(function, grid_x, grid_y); });
}

HAMI_EXPORT CUresult cuLaunchGridAsync(CUfunction function, int grid_x, int grid_y,
                                       CUstream stream) {
  const LaunchShape shape = {
      function, {static_cast<uint32_t>(grid_x), static_cast<uint32_t>(grid_y), 1}, {}, 0};
  return Launch(shape, stream, StreamForm::kLegacy, Sampling::kAllowed,
                [=] { return cuda.cuLaunchGridAsync(function, grid_x, grid_y, stream); });
}

HAMI_EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  return Launch(GraphShape(exec), stream, StreamForm::kLegacy, Sampling::kAllowed, [=] {
    return WithGraphMemory(exec, [=] { return cuda.cuGraphLaunch(exec, stream); });
  });
}

HAMI_EXPORT CUresult cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream) {
  return Launch(GraphShape(exec), stream, StreamForm::kPerThread, Sampling::kAllowed, [=] {
    return WithGraphMemory(exec, [=] { return cuda.cuGraphLaunch_ptsz(exec, stream); });
  });
}

HAMI_EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const GraphEnd end = BeginGraphEnd(exec);
  const CUresult result = cuda.cuGraphExecDestroy(exec);
  FinishGraphEnd(exec, end, result == CUDA_SUCCESS);
  // The handle may come back for another graph.
  if (result == CUDA_SUCCESS) ForgetCost(CostKey(GraphShape(exec)));
  return result;
}

}  // extern "C"
