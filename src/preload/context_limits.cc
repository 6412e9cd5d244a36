// SPDX-License-Identifier: Apache-2.0
//
// cuCtxSetLimit. The memory behind the limits with which a context begins is part of what the
// context is charged; what a limit is raised by is charged here before the driver is called, and
// refunded when it is lowered or the context goes. How much that is, the driver does not tell:
//   stack       the bytes of a thread times the threads that the device holds at a time
//   heap, fifo  their size
//   sync depth  150 MiB a level (Programming Guide, CUDA Dynamic Parallelism, Memory Footprint)
//   launches    assumed: 8 KiB each
// Where a driver takes more, the agent finds it in the driver's figure (hidden_bytes).
//
// Not charged: the stack that the driver itself enlarges for a kernel that needs more.
//
// A lock of the device is held across the driver's call, so that two threads that set one limit are
// charged for what comes out.

#include "preload/context_limits.h"

#include "preload/contexts.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/lock.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

constexpr uint64_t kSyncLevelBytes = uint64_t{150} << 20;
constexpr uint64_t kPendingLaunchBytes = 8 << 10;
// No device has as much: left to the driver to refuse.
constexpr uint64_t kAbsurdBytes = uint64_t{1} << 50;

constinit Table<ContextLimits> limits_of_contexts;

struct DeviceThreads {
  SpinLock lock;
  uint64_t resident = 0;  // threads that the device holds at a time; 0: not asked yet
};
constinit DeviceThreads threads_of[kMaxOrdinals] = {};

uint64_t ResidentThreads(int ordinal) {
  DeviceThreads& threads = threads_of[ordinal];
  if (threads.resident != 0) return threads.resident;
  int multiprocessors = 0;
  int each = 0;
  cuda.cuDeviceGetAttribute(&multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, ordinal);
  cuda.cuDeviceGetAttribute(&each, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, ordinal);
  threads.resident = static_cast<uint64_t>(multiprocessors) * static_cast<uint64_t>(each);
  return threads.resident;
}

uint64_t BytesOfOne(int limit, int ordinal) {
  switch (limit) {
    case CU_LIMIT_STACK_SIZE:
      return ResidentThreads(ordinal);
    case CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH:
      return kSyncLevelBytes;
    case CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT:
      return kPendingLaunchBytes;
    default:
      return 1;
  }
}

// What a limit takes at this value beyond what it took at first, in whole pages.
uint64_t GrowthBytes(const Device& device, int ordinal, int limit, uint64_t first, uint64_t value) {
  if (value <= first) return 0;
  const uint64_t one = BytesOfOne(limit, ordinal);
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(value, one, &bytes) || bytes > kAbsurdBytes) return kAbsurdBytes;
  const uint64_t page = device.page_bytes;
  return ((bytes + page - 1) / page - (first * one + page - 1) / page) * page;
}

ContextLimits LimitsOf(CUcontext context, int ordinal) {
  ContextLimits limits = {};
  const auto key = reinterpret_cast<uint64_t>(context);
  if (!limits_of_contexts.Find(key, &limits)) {
    limits.key = key;
    limits.ordinal = ordinal;
    for (uint64_t& value : limits.first_value) value = UINT64_MAX;
  }
  return limits;
}

// Brings what is charged to the value that the driver has made of the request. `ahead_bytes` are
// charged already.
void SettleLimit(Device& device, CUlimit limit, uint64_t ahead_bytes, ContextLimits* limits) {
  size_t value = 0;
  if (cuda.cuCtxGetLimit(&value, limit) != CUDA_SUCCESS) return;
  const uint64_t bytes =
      GrowthBytes(device, limits->ordinal, limit, limits->first_value[limit], value);
  if (bytes > ahead_bytes) {
    ChargeAnyway(device, bytes - ahead_bytes, ChargeKind::kContext);
  } else if (bytes < ahead_bytes) {
    Refund(device, ahead_bytes - bytes, ChargeKind::kContext);
  }
  limits->charged_bytes[limit] = bytes;
}

CUresult SetCharged(const CurrentDevice& current, CUcontext context, CUlimit limit, size_t value) {
  Device& device = *current.device;
  const SpinLock::Holder holder(threads_of[current.ordinal].lock);
  ContextLimits limits = LimitsOf(context, current.ordinal);
  if (limits.first_value[limit] == UINT64_MAX) {
    size_t first = 0;
    // A limit that this device does not have: the driver is to say so.
    if (cuda.cuCtxGetLimit(&first, limit) != CUDA_SUCCESS) return cuda.cuCtxSetLimit(limit, value);
    limits.first_value[limit] = first;
  }
  const uint64_t held_bytes = limits.charged_bytes[limit];
  const uint64_t wanted_bytes =
      GrowthBytes(device, current.ordinal, limit, limits.first_value[limit], value);
  uint64_t ahead_bytes = held_bytes;
  if (wanted_bytes > held_bytes && wanted_bytes != kAbsurdBytes) {
    if (!Charge(device, wanted_bytes - held_bytes, ChargeKind::kContext)) {
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
    ahead_bytes = wanted_bytes;
  }
  const CUresult result = cuda.cuCtxSetLimit(limit, value);
  if (result != CUDA_SUCCESS) {
    Refund(device, ahead_bytes - held_bytes, ChargeKind::kContext);
    return result;
  }
  SettleLimit(device, limit, ahead_bytes, &limits);
  // Without room for the entry the charge stays until the process ends.
  limits_of_contexts.Insert(limits);
  return result;
}

}  // namespace

ContextLimits TakeContextLimits(CUcontext context) {
  ContextLimits limits = {};
  limits_of_contexts.Take(reinterpret_cast<uint64_t>(context), &limits);
  return limits;
}

void RestoreContextLimits(const ContextLimits& limits) {
  if (limits.key != 0) limits_of_contexts.Insert(limits);
}

void RefundContextLimits(const ContextLimits& limits) {
  for (const uint64_t bytes : limits.charged_bytes) {
    if (bytes != 0) Refund(*DeviceOfOrdinal(limits.ordinal), bytes, ChargeKind::kContext);
  }
}

void ResetContextLimitsAfterFork() {
  for (DeviceThreads& threads : threads_of) threads.lock.ResetAfterFork();
  limits_of_contexts.ResetAfterFork();
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const int number = limit;
  if (number < 0 || number >= kCountedLimits) return cuda.cuCtxSetLimit(limit, value);
  CurrentDevice current;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  CUcontext context = nullptr;
  if (mode != Mode::kLimit || cuda.cuCtxGetCurrent(&context) != CUDA_SUCCESS) {
    return cuda.cuCtxSetLimit(limit, value);
  }
  return SetCharged(current, PrimaryIfGreen(context, current.ordinal), limit, value);
}

}  // extern "C"
