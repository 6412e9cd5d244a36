// SPDX-License-Identifier: Apache-2.0
//
// Launches. How long a kernel takes alone on the device: what its name says (`*_us_N`, `*_ns_N`),
// else what the profile says for the name, else by its grid: kernel + block * waves, where a wave
// is what the device holds at a time.

#include "simgpu/cuda/launch.h"

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/green.h"

namespace hami::simgpu::cuda {
namespace {

uint32_t Smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

// "_us_250" at the end of the name.
bool TimeInName(const char* name, const char* unit, uint64_t* number) {
  const char* found = nullptr;
  for (const char* at = name; (at = strstr(at, unit)) != nullptr; ++at) found = at;
  if (found == nullptr) return false;
  const char* digits = found + strlen(unit);
  if (*digits == 0) return false;
  uint64_t value = 0;
  for (; *digits != 0; ++digits) {
    if (*digits < '0' || *digits > '9' || value > 1'000'000'000'000) return false;
    value = value * 10 + static_cast<uint64_t>(*digits - '0');
  }
  *number = value;
  return true;
}

bool Matches(const char* pattern, const char* name) {
  const size_t length = strlen(pattern);
  if (length > 0 && pattern[length - 1] == '*') return strncmp(pattern, name, length - 1) == 0;
  return TextEquals(pattern, name);
}

// The kernel's 64-bit parameter of this number; 0 if it was not passed.
uint64_t ReadParam(const Function& function, uint32_t index, void** params, void** extra) {
  if (index >= function.param_count || function.params[index].bytes != 8) return 0;
  uint64_t value = 0;
  if (params != nullptr) {
    memcpy(&value, params[index], 8);
    return value;
  }
  // CU_LAUNCH_PARAM_BUFFER_POINTER is 1, CU_LAUNCH_PARAM_BUFFER_SIZE 2, the end 0.
  const char* buffer = nullptr;
  size_t bytes = 0;
  for (; extra != nullptr && *extra != nullptr; extra += 2) {
    const auto key = reinterpret_cast<uint64_t>(extra[0]);
    if (key == 1) buffer = static_cast<const char*>(extra[1]);
    if (key == 2) bytes = *static_cast<const size_t*>(extra[1]);
  }
  if (buffer != nullptr && function.params[index].offset + 8 <= bytes) {
    memcpy(&value, buffer + function.params[index].offset, 8);
  }
  return value;
}

CUresult CheckShape(const DeviceConfig& device, const Function& function, const unsigned grid[3],
                    const unsigned block[3], unsigned shared_bytes) {
  const uint64_t threads = uint64_t{block[0]} * block[1] * block[2];
  if (threads == 0 || grid[0] == 0 || grid[1] == 0 || grid[2] == 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 || threads > 1024) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (grid[0] > 2147483647 || grid[1] > 65535 || grid[2] > 65535) return CUDA_ERROR_INVALID_VALUE;
  if (threads > function.max_threads) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  const uint32_t allowed = function.dynamic_shared_limit != 0
                               ? function.dynamic_shared_limit
                               : device.shared_per_block_bytes - function.shared_bytes;
  return shared_bytes > allowed ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

}  // namespace

void FindKernelTime(Function* function) {
  uint64_t number = 0;
  function->ns_param = -1;
  if (TimeInName(function->name, "_us_", &number)) {
    function->own_ns = number * 1000;
    return;
  }
  if (TimeInName(function->name, "_ns_", &number)) {
    function->own_ns = number;
    return;
  }
  const MachineConfig& machine = MachineOf();
  for (uint32_t i = 0; i < machine.kernel_rule_count; ++i) {
    if (!Matches(machine.kernel_rules[i].name, function->name)) continue;
    function->own_ns = machine.kernel_rules[i].ns;
    function->ns_param = machine.kernel_rules[i].param_index;
    return;
  }
}

uint32_t BlocksPerMultiprocessor(const DeviceConfig& device, const Function& function,
                                 unsigned threads, unsigned dynamic_shared_bytes) {
  if (threads == 0 || threads > function.max_threads) return 0;
  const uint32_t warps = (threads + 31) / 32;
  uint32_t blocks =
      Smaller(device.blocks_per_multiprocessor, device.threads_per_multiprocessor / (warps * 32));
  const uint32_t registers = static_cast<uint32_t>(RoundUp(function.registers, 8)) * warps * 32;
  if (registers > 0) blocks = Smaller(blocks, device.registers_per_multiprocessor / registers);
  const uint32_t shared = function.shared_bytes + dynamic_shared_bytes;
  if (shared > 0)
    blocks = Smaller(blocks, device.shared_per_multiprocessor_bytes / (shared + 1024));
  return blocks;
}

CUresult MakeKernelOp(Context* context, CUfunction handle, const unsigned grid[3],
                      const unsigned block[3], unsigned shared_bytes, void** params, void** extra,
                      Op* op) {
  Function* function = nullptr;
  const CUresult found = ResolveFunction(context, handle, &function);
  if (found != CUDA_SUCCESS) return found;
  if (params != nullptr && extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (params == nullptr && extra == nullptr && function->param_count > 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const DeviceConfig& device = ConfigOf(context->device);
  const CUresult shape = CheckShape(device, *function, grid, block, shared_bytes);
  if (shape != CUDA_SUCCESS) return shape;
  const uint32_t per_multiprocessor =
      BlocksPerMultiprocessor(device, *function, block[0] * block[1] * block[2], shared_bytes);
  if (per_multiprocessor == 0) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  const uint64_t at_once = uint64_t{per_multiprocessor} * device.multiprocessors;
  const uint64_t blocks = uint64_t{grid[0]} * grid[1] * grid[2];

  *op = {};
  op->kind = OpKind::kKernel;
  op->work = WorkKind::kKernel;
  op->launch = {
      function, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared_bytes};
  op->demand_q16 = blocks >= at_once ? 65536 : static_cast<uint32_t>(blocks * 65536 / at_once) + 1;
  if (function->ns_param >= 0) {
    op->ns = ReadParam(*function, static_cast<uint32_t>(function->ns_param), params, extra);
  } else if (function->own_ns > 0) {
    op->ns = function->own_ns;
  } else {
    const uint64_t waves = (blocks + at_once - 1) / at_once;
    op->ns = device.kernel_ns + device.block_ns * waves;
  }
  // A day is longer than any kernel, and keeps sums of times in range.
  constexpr uint64_t kLongestNs = 86'400'000'000'000;
  if (op->ns > kLongestNs) op->ns = kLongestNs;
  if (op->ns == 0) op->ns = 1;
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

struct Shape {
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
};

CUresult Launch(CUfunction function, const Shape& shape, CUstream stream_handle, void** params,
                void** extra, bool per_thread, bool cooperative) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, stream_handle, per_thread);
  if (stream == nullptr) return NoStream(stream_handle);
  if (stream->owner != entry.context) return CUDA_ERROR_INVALID_HANDLE;
  Op op;
  const CUresult result = MakeKernelOp(entry.context, function, shape.grid, shape.block,
                                       shape.shared_bytes, params, extra, &op);
  if (result != CUDA_SUCCESS) return result;
  // All blocks of a cooperative launch must be resident at once.
  const uint64_t blocks = uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2];
  const auto& device = ConfigOf(entry.context->device);
  if (cooperative &&
      blocks > uint64_t{MultiprocessorsOf(*stream)} *
                   BlocksPerMultiprocessor(device, *op.launch.function,
                                           shape.block[0] * shape.block[1] * shape.block[2],
                                           shape.shared_bytes)) {
    return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
  }
  const bool captured = stream->capture != nullptr;
  const CUresult performed = Perform(entry, *stream, op);
  if (captured && performed == CUDA_SUCCESS) KeepArgs(*stream, params, extra);
  return performed;
}

CUresult LaunchEx(const CUlaunchConfig* config, CUfunction function, void** params, void** extra,
                  bool per_thread) {
  if (config == nullptr || (config->numAttrs > 0 && config->attrs == nullptr)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  bool cooperative = false;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute& attribute = config->attrs[i];
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
      cooperative = attribute.value.cooperative != 0;
  }
  const Shape shape = {{config->gridDimX, config->gridDimY, config->gridDimZ},
                       {config->blockDimX, config->blockDimY, config->blockDimZ},
                       config->sharedMemBytes};
  return Launch(function, shape, config->hStream, params, extra, per_thread, cooperative);
}

}  // namespace

#define SHAPE_PARAMETERS                                                               \
  unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by, \
      unsigned int bz, unsigned int shared, CUstream stream
#define SHAPE {{gx, gy, gz}, {bx, by, bz}, shared}

HAMI_SIM_API CUresult cuLaunchKernel(CUfunction f, SHAPE_PARAMETERS, void** params, void** extra) {
  return Launch(f, SHAPE, stream, params, extra, false, false);
}
HAMI_SIM_API CUresult cuLaunchKernel_ptsz(CUfunction f, SHAPE_PARAMETERS, void** params,
                                          void** extra) {
  return Launch(f, SHAPE, stream, params, extra, true, false);
}
HAMI_SIM_API CUresult cuLaunchCooperativeKernel(CUfunction f, SHAPE_PARAMETERS, void** params) {
  return Launch(f, SHAPE, stream, params, nullptr, false, true);
}
HAMI_SIM_API CUresult cuLaunchCooperativeKernel_ptsz(CUfunction f, SHAPE_PARAMETERS,
                                                     void** params) {
  return Launch(f, SHAPE, stream, params, nullptr, true, true);
}
HAMI_SIM_API CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction f, void** params,
                                       void** extra) {
  return LaunchEx(config, f, params, extra, false);
}
HAMI_SIM_API CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig* config, CUfunction f,
                                            void** params, void** extra) {
  return LaunchEx(config, f, params, extra, true);
}
