// SPDX-License-Identifier: Apache-2.0
//
// What a context's limits take of the device. The cost of a context (the profile's `context`) has
// the defaults in it; more than the default is taken when the limit is set and given back when it
// is lowered, at most down to the default.
//   stack       threads that the device holds at a time, times the bytes of one ("takes effect
//               immediately", Driver API, cuCtxSetLimit; local memory is reserved for the most
//               threads that can be resident)
//   sync depth  150 MiB a level (Programming Guide, CUDA Dynamic Parallelism, Memory Footprint)
//   heap, fifo  their size. Assumed at once: the Programming Guide has the heap allocated when a
//               module that uses it is loaded, and we do not know which modules do.
//   launches    assumed: 8 KiB each; a launch keeps up to 4 KiB of parameters
// Not simulated: that the driver enlarges the stack for a kernel that needs more. Images here do
// not say how much local memory a kernel has.

#include "simgpu/cuda/context_limits.h"

#include "api/cuda/functions.h"
#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {
namespace {

constexpr int kLimits = 7;
constexpr uint64_t kDefaults[kLimits] = {
    1024,     // stack of a thread
    1 << 20,  // printf buffer
    8 << 20,  // device malloc heap
    2,        // depth of device-side synchronisation
    2048,     // pending device-side launches
    128,      // fetch granularity of the L2 cache
    0,        // persisting L2
};

constexpr uint64_t kMaxStackBytes = 512 << 10;  // Programming Guide, compute capabilities
constexpr uint64_t kMaxSyncDepth = 24;
constexpr uint64_t kSyncLevelBytes = 150 * kMib;
constexpr uint64_t kPendingLaunchBytes = 8 << 10;
// More than any device has; keeps the sums below in range.
constexpr uint64_t kMaxSetting = uint64_t{1} << 48;

// What the limit takes in all at this value.
uint64_t BytesAt(const DeviceConfig& device, int limit, uint64_t value) {
  uint64_t bytes = 0;
  switch (limit) {
    case CU_LIMIT_STACK_SIZE:
      bytes = value * device.multiprocessors * device.threads_per_multiprocessor;
      break;
    case CU_LIMIT_PRINTF_FIFO_SIZE:
    case CU_LIMIT_MALLOC_HEAP_SIZE:
      bytes = value;
      break;
    case CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH:
      bytes = value * kSyncLevelBytes;
      break;
    case CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT:
      bytes = value * kPendingLaunchBytes;
      break;
    default:
      break;  // hints about the cache
  }
  return RoundUp(bytes, device.granularity_bytes);
}

bool IsKnown(const DeviceConfig& device, int limit) {
  if (limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH) return device.compute_capability < 90;
  return limit >= 0 && limit < kLimits;
}

bool IsInRange(int limit, uint64_t value) {
  if (limit == CU_LIMIT_STACK_SIZE) return value <= kMaxStackBytes;
  if (limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH) return value <= kMaxSyncDepth;
  if (limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY) return value <= 128;
  if (limit == CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT) {
    return value <= kMaxSetting / kPendingLaunchBytes;
  }
  return value <= kMaxSetting;
}

CUresult Set(Context& context, int limit, uint64_t value) {
  const DeviceConfig& device = ConfigOf(context.device);
  const uint64_t wanted = BytesAt(device, limit, value);
  const uint64_t with_context = BytesAt(device, limit, kDefaults[limit]);
  const uint64_t bytes = wanted > with_context ? wanted - with_context : 0;
  uint64_t& held = context.limit_bytes[limit];
  if (bytes > held && !TakePhysical(context.device, bytes - held)) return CUDA_ERROR_OUT_OF_MEMORY;
  if (bytes < held) GivePhysical(context.device, held - bytes);
  held = bytes;
  context.limits[limit] = value;
  return CUDA_SUCCESS;
}

}  // namespace

void SetDefaultLimits(Context* context) {
  for (int limit = 0; limit < kLimits; ++limit) context->limits[limit] = kDefaults[limit];
}

void ReleaseLimitMemory(Context* context) {
  for (uint64_t& bytes : context->limit_bytes) {
    if (bytes != 0) GivePhysical(context->device, bytes);
    bytes = 0;
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  HAMI_ENTER(Need::kContext);
  if (!IsKnown(ConfigOf(entry.context->device), limit)) return CUDA_ERROR_UNSUPPORTED_LIMIT;
  if (!IsInRange(limit, value)) return CUDA_ERROR_INVALID_VALUE;
  return Set(*entry.context, limit, value);
}

HAMI_SIM_API CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  HAMI_ENTER(Need::kContext);
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!IsKnown(ConfigOf(entry.context->device), limit)) return CUDA_ERROR_UNSUPPORTED_LIMIT;
  *value = entry.context->limits[limit];
  return CUDA_SUCCESS;
}
