// SPDX-License-Identifier: Apache-2.0
//
// What can be asked about a function, and occupancy.

#include "simgpu/cuda/launch.h"

namespace hami::simgpu::cuda {
namespace {

constexpr int kAttributes = 16;  // of CUfunction_attribute, cuda.h

bool GetAttribute(const Function& function, int attribute, int* value) {
  switch (attribute) {
    case 0:
      *value = static_cast<int>(function.max_threads);
      return true;
    case 1:
      *value = static_cast<int>(function.shared_bytes);
      return true;
    case 2:
    case 3:
      *value = 0;
      return true;  // constant and local bytes
    case 4:
      *value = static_cast<int>(function.registers);
      return true;
    case 5:
    case 6:  // PTX and binary version
      *value = static_cast<int>(ConfigOf(function.owner->device).compute_capability);
      return true;
    case 7:
      *value = 0;
      return true;
    case 8:
      *value = static_cast<int>(function.dynamic_shared_limit != 0
                                    ? function.dynamic_shared_limit
                                    : ConfigOf(function.owner->device).shared_per_block_bytes -
                                          function.shared_bytes);
      return true;
    case 9:
      *value = -1;
      return true;  // preferred carve-out
    default:
      *value = 0;
      return attribute >= 0 && attribute < kAttributes;
  }
}

CUresult SetAttribute(Function* function, int attribute, int value) {
  const DeviceConfig& device = ConfigOf(function->owner->device);
  if (attribute == 8) {
    if (value < 0 || static_cast<uint32_t>(value) + function->shared_bytes >
                         device.shared_per_block_optin_bytes) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    function->dynamic_shared_limit = static_cast<uint32_t>(value);
    return CUDA_SUCCESS;
  }
  return attribute >= 9 && attribute < kAttributes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult Blocks(int* blocks, CUfunction handle, int block_size, size_t shared_bytes) {
  HAMI_ENTER(Need::kContext);
  if (blocks == nullptr || block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
  Function* function = nullptr;
  const CUresult found = ResolveFunction(entry.context, handle, &function);
  if (found != CUDA_SUCCESS) return found;
  *blocks = static_cast<int>(BlocksPerMultiprocessor(ConfigOf(entry.context->device), *function,
                                                     static_cast<unsigned>(block_size),
                                                     static_cast<unsigned>(shared_bytes)));
  return CUDA_SUCCESS;
}

using SharedForBlock = size_t (*)(int);

CUresult BestBlock(int* grid, int* block, CUfunction handle, SharedForBlock shared_for,
                   size_t shared_bytes, int limit) {
  HAMI_ENTER(Need::kContext);
  if (grid == nullptr || block == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Function* function = nullptr;
  const CUresult found = ResolveFunction(entry.context, handle, &function);
  if (found != CUDA_SUCCESS) return found;
  const DeviceConfig& device = ConfigOf(entry.context->device);
  const int most = limit > 0 && limit < static_cast<int>(function->max_threads)
                       ? limit
                       : static_cast<int>(function->max_threads);
  int best = 0;
  uint32_t best_threads = 0;
  uint32_t best_blocks = 0;
  for (int size = most / 32 * 32; size >= 32; size -= 32) {
    const size_t shared = shared_for != nullptr ? shared_for(size) : shared_bytes;
    const uint32_t blocks = BlocksPerMultiprocessor(device, *function, static_cast<unsigned>(size),
                                                    static_cast<unsigned>(shared));
    const uint32_t threads = blocks * static_cast<uint32_t>(size);
    if (threads <= best_threads) continue;
    best_threads = threads;
    best = size;
    best_blocks = blocks;
  }
  if (best == 0) return CUDA_ERROR_INVALID_VALUE;
  *block = best;
  *grid = static_cast<int>(best_blocks * device.multiprocessors);
  return CUDA_SUCCESS;
}

CUresult Resolve(Entry& entry, CUfunction handle, Function** function) {
  if (auto* found = Find<Function>(handle)) {
    *function = found;
    return CUDA_SUCCESS;
  }
  return entry.context == nullptr ? CUDA_ERROR_INVALID_HANDLE
                                  : ResolveFunction(entry.context, handle, function);
}

#define HAMI_ENTER_FUNCTION(handle)                         \
  HAMI_ENTER(Need::kInit);                                  \
  Function* function = nullptr;                             \
  const CUresult found = Resolve(entry, handle, &function); \
  if (found != CUDA_SUCCESS) return found

CUresult GetParam(CUfunction handle, size_t index, size_t* offset, size_t* bytes) {
  HAMI_ENTER_FUNCTION(handle);
  if (offset == nullptr || index >= function->param_count) return CUDA_ERROR_INVALID_VALUE;
  *offset = function->params[index].offset;
  if (bytes != nullptr) *bytes = function->params[index].bytes;
  return CUDA_SUCCESS;
}

CUresult CountParams(CUfunction handle, size_t* count) {
  HAMI_ENTER_FUNCTION(handle);
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = function->param_count;
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction handle) {
  HAMI_ENTER_FUNCTION(handle);
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return GetAttribute(*function, attribute, value) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
HAMI_SIM_API CUresult cuFuncSetAttribute(CUfunction handle, int attribute, int value) {
  HAMI_ENTER_FUNCTION(handle);
  return SetAttribute(function, attribute, value);
}
HAMI_SIM_API CUresult cuFuncSetCacheConfig(CUfunction handle, int config) {
  HAMI_ENTER_FUNCTION(handle);
  return config >= 0 && config <= 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
HAMI_SIM_API CUresult cuFuncGetName(const char** name, CUfunction handle) {
  HAMI_ENTER_FUNCTION(handle);
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *name = function->name;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuFuncGetModule(CUmodule* module, CUfunction handle) {
  HAMI_ENTER_FUNCTION(handle);
  if (module == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *module = reinterpret_cast<CUmodule>(function->module);
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuFuncIsLoaded(int* state, CUfunction handle) {
  HAMI_ENTER_FUNCTION(handle);
  if (state == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *state = 1;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuFuncLoad(CUfunction handle) {
  HAMI_ENTER_FUNCTION(handle);
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuFuncGetParamInfo(CUfunction f, size_t index, size_t* offset,
                                         size_t* bytes) {
  return GetParam(f, index, offset, bytes);
}
HAMI_SIM_API CUresult cuKernelGetParamInfo(CUkernel k, size_t index, size_t* offset,
                                           size_t* bytes) {
  return GetParam(reinterpret_cast<CUfunction>(k), index, offset, bytes);
}
HAMI_SIM_API CUresult cuFuncGetParamCount(CUfunction f, size_t* count) {
  return CountParams(f, count);
}
HAMI_SIM_API CUresult cuKernelGetParamCount(CUkernel k, size_t* count) {
  return CountParams(reinterpret_cast<CUfunction>(k), count);
}
HAMI_SIM_API CUresult cuKernelGetAttribute(int* value, int attribute, CUkernel kernel, CUdevice) {
  return cuFuncGetAttribute(value, attribute, reinterpret_cast<CUfunction>(kernel));
}
HAMI_SIM_API CUresult cuKernelSetAttribute(int attribute, int value, CUkernel kernel, CUdevice) {
  return cuFuncSetAttribute(reinterpret_cast<CUfunction>(kernel), attribute, value);
}

HAMI_SIM_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction f,
                                                                  int size, size_t shared) {
  return Blocks(blocks, f, size, shared);
}
HAMI_SIM_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                           CUfunction f, int size,
                                                                           size_t shared,
                                                                           unsigned flags) {
  return flags > 1 ? CUDA_ERROR_INVALID_VALUE : Blocks(blocks, f, size, shared);
}
HAMI_SIM_API CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction f,
                                                       SharedForBlock shared_for, size_t shared,
                                                       int limit) {
  return BestBlock(grid, block, f, shared_for, shared, limit);
}
HAMI_SIM_API CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction f,
                                                                SharedForBlock shared_for,
                                                                size_t shared, int limit,
                                                                unsigned flags) {
  return flags > 1 ? CUDA_ERROR_INVALID_VALUE
                   : BestBlock(grid, block, f, shared_for, shared, limit);
}
