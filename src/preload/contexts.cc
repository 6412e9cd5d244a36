// SPDX-License-Identifier: Apache-2.0
//
// A context takes device memory that no call asks for by size. Before it exists it is charged what
// the writer of the limits file measured for this device and driver (api/limits, `context`), and
// the agent puts the charge right from the driver's own figure. The lock below is held across the
// driver's call, so that two threads that retain the same primary context charge it once.

#include "preload/contexts.h"

#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/graph_memory.h"
#include "preload/lock.h"
#include "preload/memory_arrays.h"
#include "preload/memory_plain.h"
#include "preload/pools.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

struct PrimaryContext {
  SpinLock lock;
  CUcontext context = nullptr;
  uint64_t charged_bytes = 0;
};
constinit PrimaryContext primaries[kMaxOrdinals] = {};

// Explicit contexts -> what they are charged.
constinit Table<CountEntry> contexts;

uint64_t KeyOf(CUcontext context) { return reinterpret_cast<uint64_t>(context); }

uint64_t ContextBytes(const Device& device) {
  return device.context_bytes.load(std::memory_order_relaxed);
}

bool IsPrimaryActive(CUdevice ordinal) {
  unsigned int flags = 0;
  int active = 0;
  return cuda.cuDevicePrimaryCtxGetState(ordinal, &flags, &active) == CUDA_SUCCESS && active != 0;
}

// After a context is gone: what it owned is gone too.
void ForgetContextMemory(int ordinal, CUcontext context) {
  PurgeDeadMemory(ordinal);
  ForgetArraysOf(context);
  if (Device* device = DeviceOfOrdinal(ordinal)) {
    ReconcilePools(*device);
    ReconcileGraphMemory(*device);
  }
}

CUresult RetainPrimary(CUcontext* context, CUdevice ordinal, Device& device) {
  PrimaryContext& primary = primaries[ordinal];
  const SpinLock::Holder holder(primary.lock);
  const bool charge = primary.charged_bytes == 0;
  const uint64_t bytes = ContextBytes(device);
  if (charge && !Charge(device, bytes, ChargeKind::kContext)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = cuda.cuDevicePrimaryCtxRetain(context, ordinal);
  if (result == CUDA_SUCCESS) primary.context = *context;
  if (!charge) return result;
  if (result == CUDA_SUCCESS) {
    primary.charged_bytes = bytes;
  } else {
    Refund(device, bytes, ChargeKind::kContext);
  }
  return result;
}

// Release and reset: refunds when the driver says that the primary context is no longer active.
template <typename Call>
CUresult LeavePrimary(CUdevice ordinal, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  Device* device = EnterCuda() == Mode::kLimit ? DeviceOfOrdinal(ordinal) : nullptr;
  if (device == nullptr) return call();
  uint64_t refund_bytes = 0;
  CUcontext context = nullptr;
  CUresult result;
  {
    PrimaryContext& primary = primaries[ordinal];
    const SpinLock::Holder holder(primary.lock);
    result = call();
    if (result == CUDA_SUCCESS && !IsPrimaryActive(ordinal)) {
      refund_bytes = primary.charged_bytes;
      context = primary.context;
      primary.charged_bytes = 0;
      primary.context = nullptr;
    }
  }
  if (refund_bytes != 0) Refund(*device, refund_bytes, ChargeKind::kContext);
  if (context != nullptr) ForgetContextMemory(ordinal, context);
  return result;
}

template <typename Create>
CUresult CreateContext(CUcontext* context, CUdevice ordinal, const Create& create) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const Mode mode = EnterCuda();
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  Device* device = mode == Mode::kLimit ? DeviceOfOrdinal(ordinal) : nullptr;
  if (device == nullptr || context == nullptr) return create();
  FollowLimits();
  const uint64_t bytes = ContextBytes(*device);
  if (!Charge(*device, bytes, ChargeKind::kContext)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = create();
  if (result == CUDA_SUCCESS) {
    // Without room for the entry the charge stays until the process ends: never too little.
    contexts.Insert({KeyOf(*context), bytes, static_cast<uint8_t>(ordinal)});
  } else {
    Refund(*device, bytes, ChargeKind::kContext);
  }
  return result;
}

template <typename Destroy>
CUresult DestroyContext(CUcontext context, const Destroy& destroy) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return destroy();
  CountEntry entry;
  const bool known = contexts.Take(KeyOf(context), &entry);
  const CUresult result = destroy();
  if (!known) return result;
  if (result != CUDA_SUCCESS) {
    contexts.Insert(entry);
    return result;
  }
  Refund(*DeviceOfOrdinal(entry.ordinal), entry.count, ChargeKind::kContext);
  ForgetContextMemory(entry.ordinal, context);
  return result;
}

}  // namespace

void ResetContextsAfterFork() {
  for (PrimaryContext& primary : primaries) {
    primary.lock.ResetAfterFork();
    primary.context = nullptr;
    primary.charged_bytes = 0;
  }
  contexts.ResetAfterFork();
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice ordinal) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const Mode mode = EnterCuda();
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  Device* device = mode == Mode::kLimit ? DeviceOfOrdinal(ordinal) : nullptr;
  if (device == nullptr || context == nullptr) {
    return cuda.cuDevicePrimaryCtxRetain(context, ordinal);
  }
  FollowLimits();
  return RetainPrimary(context, ordinal, *device);
}

HAMI_EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice ordinal) {
  return LeavePrimary(ordinal, [=] { return cuda.cuDevicePrimaryCtxRelease(ordinal); });
}

HAMI_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
  return LeavePrimary(ordinal, [=] { return cuda.cuDevicePrimaryCtxRelease_v2(ordinal); });
}

HAMI_EXPORT CUresult cuDevicePrimaryCtxReset(CUdevice ordinal) {
  return LeavePrimary(ordinal, [=] { return cuda.cuDevicePrimaryCtxReset(ordinal); });
}

HAMI_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice ordinal) {
  return LeavePrimary(ordinal, [=] { return cuda.cuDevicePrimaryCtxReset_v2(ordinal); });
}

HAMI_EXPORT CUresult cuCtxCreate(CUcontext* context, unsigned int flags, CUdevice ordinal) {
  return CreateContext(context, ordinal, [=] { return cuda.cuCtxCreate(context, flags, ordinal); });
}

HAMI_EXPORT CUresult cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice ordinal) {
  return CreateContext(context, ordinal,
                       [=] { return cuda.cuCtxCreate_v2(context, flags, ordinal); });
}

HAMI_EXPORT CUresult cuCtxCreate_v3(CUcontext* context, CUexecAffinityParam* params, int count,
                                    unsigned int flags, CUdevice ordinal) {
  return CreateContext(context, ordinal,
                       [=] { return cuda.cuCtxCreate_v3(context, params, count, flags, ordinal); });
}

HAMI_EXPORT CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams* params,
                                    unsigned int flags, CUdevice ordinal) {
  return CreateContext(context, ordinal,
                       [=] { return cuda.cuCtxCreate_v4(context, params, flags, ordinal); });
}

HAMI_EXPORT CUresult cuCtxDestroy(CUcontext context) {
  return DestroyContext(context, [=] { return cuda.cuCtxDestroy(context); });
}

HAMI_EXPORT CUresult cuCtxDestroy_v2(CUcontext context) {
  return DestroyContext(context, [=] { return cuda.cuCtxDestroy_v2(context); });
}

HAMI_EXPORT CUresult cuCtxDetach(CUcontext context) {
  return DestroyContext(context, [=] { return cuda.cuCtxDetach(context); });
}

}  // extern "C"
