// SPDX-License-Identifier: Apache-2.0
//
// A context takes device memory that no call asks for by size. Before it exists it is charged what
// the writer of the limits file measured for this device and driver (api/limits, `context`), and
// the agent puts the charge right from the driver's own figure. The lock below is held across the
// driver's call, so that two threads that retain the same primary context charge it once.

#include "preload/contexts.h"

#include <atomic>

#include "preload/context_limits.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/external_memory.h"
#include "preload/graph_memory.h"
#include "preload/graphics.h"
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

struct GreenContext {
  uint64_t key;         // the green context
  CUcontext converted;  // cuCtxFromGreenCtx; nullptr: not asked for
  int32_t ordinal;
};
constinit Table<GreenContext> green_contexts;
constinit std::atomic<bool> any_green = false;  // was there ever one

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
  ForgetExternalsOf(context);
  ForgetGraphicsOf(context);
  if (Device* device = DeviceOfOrdinal(ordinal)) {
    ReconcilePools(*device);
    ReconcileGraphMemory(*device);
  }
}

// Retains the primary context by the call, charged if nothing has retained it before.
template <typename Call>
CUresult RetainPrimary(CUdevice ordinal, Device& device, const Call& call) {
  PrimaryContext& primary = primaries[ordinal];
  const SpinLock::Holder holder(primary.lock);
  const bool charge = primary.charged_bytes == 0;
  const uint64_t bytes = ContextBytes(device);
  if (charge && !Charge(device, bytes, ChargeKind::kContext)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = call(&primary);
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
  ContextLimits limits = {};
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
      if (context != nullptr) limits = TakeContextLimits(context);
    }
  }
  if (refund_bytes != 0) Refund(*device, refund_bytes, ChargeKind::kContext);
  RefundContextLimits(limits);
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
  if (!known) return destroy();
  const ContextLimits limits = TakeContextLimits(context);
  const CUresult result = destroy();
  if (result != CUDA_SUCCESS) {
    contexts.Insert(entry);
    RestoreContextLimits(limits);
    return result;
  }
  RefundContextLimits(limits);
  Refund(*DeviceOfOrdinal(entry.ordinal), entry.count, ChargeKind::kContext);
  ForgetContextMemory(entry.ordinal, context);
  return result;
}

CUresult CreateGreen(CUgreenCtx* green, CUdevResourceDesc desc, CUdevice ordinal,
                     unsigned int flags, Device& device) {
  const CUresult result = RetainPrimary(ordinal, device, [=](PrimaryContext* primary) {
    const CUresult created = cuda.cuGreenCtxCreate(green, desc, ordinal, flags);
    // It retains the primary context and does not say which one that is.
    if (created == CUDA_SUCCESS && primary->context == nullptr &&
        cuda.cuDevicePrimaryCtxRetain(&primary->context, ordinal) == CUDA_SUCCESS) {
      cuda.cuDevicePrimaryCtxRelease_v2(ordinal);
    }
    return created;
  });
  if (result != CUDA_SUCCESS) return result;
  // Without room for the entry the primary context stays charged until another call releases it.
  green_contexts.Insert({reinterpret_cast<uint64_t>(*green), nullptr, ordinal});
  any_green.store(true, std::memory_order_release);
  return result;
}

}  // namespace

CUcontext PrimaryIfGreen(CUcontext context, int ordinal) {
  if (!any_green.load(std::memory_order_acquire)) return context;
  bool is_green = false;
  green_contexts.VisitAll([&](const GreenContext& green) {
    if (green.converted == context) is_green = true;
  });
  if (!is_green) return context;
  PrimaryContext& primary = primaries[ordinal];
  const SpinLock::Holder holder(primary.lock);
  return primary.context != nullptr ? primary.context : context;
}

void ResetContextsAfterFork() {
  for (PrimaryContext& primary : primaries) {
    primary.lock.ResetAfterFork();
    primary.context = nullptr;
    primary.charged_bytes = 0;
  }
  green_contexts.ResetAfterFork();
  any_green.store(false, std::memory_order_relaxed);
  ResetContextLimitsAfterFork();
  ResetExternalAfterFork();
  ResetGraphicsAfterFork();
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
  return RetainPrimary(ordinal, *device, [=](PrimaryContext* primary) {
    const CUresult result = cuda.cuDevicePrimaryCtxRetain(context, ordinal);
    if (result == CUDA_SUCCESS) primary->context = *context;
    return result;
  });
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

HAMI_EXPORT CUresult cuGLCtxCreate(CUcontext* context, unsigned int flags, CUdevice ordinal) {
  return CreateContext(context, ordinal,
                       [=] { return cuda.cuGLCtxCreate(context, flags, ordinal); });
}

HAMI_EXPORT CUresult cuGLCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice ordinal) {
  return CreateContext(context, ordinal,
                       [=] { return cuda.cuGLCtxCreate_v2(context, flags, ordinal); });
}

HAMI_EXPORT CUresult cuVDPAUCtxCreate(CUcontext* context, unsigned int flags, CUdevice ordinal,
                                      unsigned int vdp_device, HamiVdpGetProcAddress* get_address) {
  return CreateContext(context, ordinal, [=] {
    return cuda.cuVDPAUCtxCreate(context, flags, ordinal, vdp_device, get_address);
  });
}

HAMI_EXPORT CUresult cuVDPAUCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice ordinal,
                                         unsigned int vdp_device,
                                         HamiVdpGetProcAddress* get_address) {
  return CreateContext(context, ordinal, [=] {
    return cuda.cuVDPAUCtxCreate_v2(context, flags, ordinal, vdp_device, get_address);
  });
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

HAMI_EXPORT CUresult cuGreenCtxCreate(CUgreenCtx* green, CUdevResourceDesc desc, CUdevice ordinal,
                                      unsigned int flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const Mode mode = EnterCuda();
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  Device* device = mode == Mode::kLimit ? DeviceOfOrdinal(ordinal) : nullptr;
  if (device == nullptr || green == nullptr) {
    return cuda.cuGreenCtxCreate(green, desc, ordinal, flags);
  }
  FollowLimits();
  return CreateGreen(green, desc, ordinal, flags, *device);
}

// The last one to leave takes the primary context along.
HAMI_EXPORT CUresult cuGreenCtxDestroy(CUgreenCtx green) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return cuda.cuGreenCtxDestroy(green);
  GreenContext entry;
  if (!green_contexts.Take(reinterpret_cast<uint64_t>(green), &entry)) {
    return cuda.cuGreenCtxDestroy(green);
  }
  const CUresult result =
      LeavePrimary(entry.ordinal, [=] { return cuda.cuGreenCtxDestroy(green); });
  if (result != CUDA_SUCCESS) green_contexts.Insert(entry);
  return result;
}

HAMI_EXPORT CUresult cuCtxFromGreenCtx(CUcontext* context, CUgreenCtx green) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuCtxFromGreenCtx(context, green);
  if (result != CUDA_SUCCESS || context == nullptr || EnterCuda() != Mode::kLimit) return result;
  green_contexts.Edit(reinterpret_cast<uint64_t>(green), [=](GreenContext& entry) {
    entry.converted = *context;
    return Table<GreenContext>::Verdict::kKeep;
  });
  return result;
}

}  // extern "C"
