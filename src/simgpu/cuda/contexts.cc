// SPDX-License-Identifier: Apache-2.0
//
// Contexts, explicit and primary. A context takes memory of the device as long as it lives, and
// everything that was made in it goes with it.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/context_limits.h"
#include "simgpu/cuda/core.h"
#include "simgpu/state/faults.h"

namespace hami::simgpu::cuda {
namespace {

constexpr unsigned kContextFlags = 0xff;
constexpr unsigned kScheduleMask = 7;

uint64_t ContextBytes(uint32_t device) {
  const DeviceConfig& config = ConfigOf(device);
  return RoundUp(config.context_bytes, config.granularity_bytes);
}

CUresult TakeContext(uint32_t device, uint32_t* queue) {
  State& state = *process.machine.state;
  LockGuard guard(process.machine);
  if (!ReserveMemory(process.machine, state, device, ContextBytes(device))) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  const int found = OpenContext(process.machine, state, device);
  if (found < 0) {
    ReleaseMemory(process.machine, state, device, ContextBytes(device));
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *queue = static_cast<uint32_t>(found);
  return CUDA_SUCCESS;
}

void DestroyObject(Object* object) {
  switch (object->kind) {
    case Kind::kStream:
      return DestroyStream(reinterpret_cast<Stream*>(object));
    case Kind::kEvent:
      return DestroyEvent(reinterpret_cast<Event*>(object));
    case Kind::kModule:
      return DestroyModule(reinterpret_cast<Module*>(object));
    case Kind::kFunction:
      return DestroyFunction(reinterpret_cast<Function*>(object));
    case Kind::kGraph:
    case Kind::kNode:
    case Kind::kExec:
      return DestroyGraphObject(object);
    case Kind::kArray:
      return DestroyArray(reinterpret_cast<Array*>(object));
    case Kind::kMipmap:
      return DestroyMipmap(reinterpret_cast<Mipmap*>(object));
    case Kind::kExternal:
      return DestroyExternal(reinterpret_cast<External*>(object));
    case Kind::kGraphics:
      return DestroyGraphics(reinterpret_cast<Graphics*>(object));
    default:
      DeleteObject(object);
  }
}

CUresult CheckFlags(unsigned flags) {
  const unsigned schedule = flags & kScheduleMask;
  const bool one_way = schedule == 0 || schedule == 1 || schedule == 2 || schedule == 4;
  return (flags & ~kContextFlags) == 0 && one_way ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult Create(CUcontext* out, unsigned flags, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (out == nullptr || CheckFlags(flags) != CUDA_SUCCESS) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  Context* made = nullptr;
  const CUresult result = CreateContext(ordinal, flags, false, &made);
  if (result != CUDA_SUCCESS) return result;
  PushCurrent(made);
  *out = reinterpret_cast<CUcontext>(made);
  return CUDA_SUCCESS;
}

CUresult Destroy(CUcontext handle) {
  HAMI_ENTER(Need::kInit);
  auto* found = Find<Context>(handle);
  if (found == nullptr || found->primary) return CUDA_ERROR_INVALID_CONTEXT;
  if (Current() == found) PopCurrent(nullptr);
  DestroyContext(found);
  Deallocate(found);
  return CUDA_SUCCESS;
}

CUresult ReleasePrimary(CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  return ReleasePrimaryContext(ordinal);
}

CUresult ResetPrimary(CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  Primary& primary = process.primaries[device];
  if (IsLive(primary.context, Kind::kContext)) DestroyContext(primary.context);
  primary.references = 0;
  primary.flags = 0;
  return CUDA_SUCCESS;
}

CUresult SetPrimaryFlags(CUdevice ordinal, unsigned flags) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (CheckFlags(flags) != CUDA_SUCCESS) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  process.primaries[device].flags = flags;
  return CUDA_SUCCESS;
}

CUresult Push(CUcontext handle) {
  HAMI_ENTER(Need::kInit);
  auto* found = Find<Context>(handle);
  if (found == nullptr || !PushCurrent(found)) return CUDA_ERROR_INVALID_CONTEXT;
  return CUDA_SUCCESS;
}

CUresult Pop(CUcontext* out) {
  HAMI_ENTER(Need::kInit);
  Context* popped = nullptr;
  if (!PopCurrent(&popped)) return CUDA_ERROR_INVALID_CONTEXT;
  if (out != nullptr) *out = reinterpret_cast<CUcontext>(popped);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult CreateContext(CUdevice ordinal, unsigned flags, bool primary, Context** out) {
  const uint32_t device = process.devices[ordinal];
  if (MeetFaults(process.machine, device).lost) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  uint32_t queue = 0;
  const CUresult result = TakeContext(device, &queue);
  if (result != CUDA_SUCCESS) return result;
  // A primary context keeps its address: programs hold on to the handle over a reset.
  Context* made = *out != nullptr ? *out : static_cast<Context*>(AllocateZeroed(sizeof(Context)));
  memset(static_cast<void*>(made), 0, sizeof(Context));
  made->device = device;
  made->ordinal = ordinal;
  made->queue = queue;
  made->primary = primary;
  made->flags = flags;
  made->id = ++process.next_id;
  SetDefaultLimits(made);
  Register(made, Kind::kContext, nullptr);
  *out = made;
  return CUDA_SUCCESS;
}

void DestroyContext(Context* context) {
  while (context->objects != nullptr) DestroyObject(context->objects);
  ReleaseContextMemory(context);
  ReleaseLimitMemory(context);
  {
    State& state = *process.machine.state;
    LockGuard guard(process.machine);
    CloseContext(state, context->queue);
    ReleaseMemory(process.machine, state, context->device, ContextBytes(context->device));
  }
  Unregister(context);
}

CUresult RetainPrimaryContext(CUdevice ordinal, Context** context) {
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  Primary& primary = process.primaries[device];
  if (!IsLive(primary.context, Kind::kContext)) {
    const CUresult result = CreateContext(ordinal, primary.flags, true, &primary.context);
    if (result != CUDA_SUCCESS) return result;
  }
  ++primary.references;
  *context = primary.context;
  return CUDA_SUCCESS;
}

CUresult ReleasePrimaryContext(CUdevice ordinal) {
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  Primary& primary = process.primaries[device];
  if (primary.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (--primary.references == 0 && IsLive(primary.context, Kind::kContext)) {
    DestroyContext(primary.context);
  }
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuCtxCreate(CUcontext* out, unsigned flags, CUdevice device) {
  return Create(out, flags, device);
}
HAMI_SIM_API CUresult cuCtxCreate_v2(CUcontext* out, unsigned flags, CUdevice device) {
  return Create(out, flags, device);
}
HAMI_SIM_API CUresult cuCtxCreate_v3(CUcontext* out, CUexecAffinityParam* params, int count,
                                     unsigned flags, CUdevice device) {
  // Execution affinity needs MPS, which is not there.
  if (params != nullptr || count != 0) return CUDA_ERROR_NOT_SUPPORTED;
  return Create(out, flags, device);
}
HAMI_SIM_API CUresult cuCtxCreate_v4(CUcontext* out, CUctxCreateParams* params, unsigned flags,
                                     CUdevice device) {
  if (params != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return Create(out, flags, device);
}
HAMI_SIM_API CUresult cuCtxDestroy(CUcontext context) { return Destroy(context); }
HAMI_SIM_API CUresult cuCtxDestroy_v2(CUcontext context) { return Destroy(context); }
HAMI_SIM_API CUresult cuCtxDetach(CUcontext context) { return Destroy(context); }

HAMI_SIM_API CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Context* context = nullptr;
  const CUresult result = RetainPrimaryContext(ordinal, &context);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUcontext>(context);
  return result;
}
HAMI_SIM_API CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return ReleasePrimary(device); }
HAMI_SIM_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return ReleasePrimary(device);
}
HAMI_SIM_API CUresult cuDevicePrimaryCtxReset(CUdevice device) { return ResetPrimary(device); }
HAMI_SIM_API CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) { return ResetPrimary(device); }
HAMI_SIM_API CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  return SetPrimaryFlags(device, flags);
}
HAMI_SIM_API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return SetPrimaryFlags(device, flags);
}
HAMI_SIM_API CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned* flags, int* active) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *flags = process.primaries[device].flags;
  *active = IsLive(process.primaries[device].context, Kind::kContext) ? 1 : 0;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxPushCurrent(CUcontext context) { return Push(context); }
HAMI_SIM_API CUresult cuCtxPushCurrent_v2(CUcontext context) { return Push(context); }
HAMI_SIM_API CUresult cuCtxPopCurrent(CUcontext* context) { return Pop(context); }
HAMI_SIM_API CUresult cuCtxPopCurrent_v2(CUcontext* context) { return Pop(context); }

HAMI_SIM_API CUresult cuCtxSetCurrent(CUcontext handle) {
  HAMI_ENTER(Need::kInit);
  auto* found = Find<Context>(handle);
  if (handle != nullptr && found == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  SetCurrent(found);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetCurrent(CUcontext* out) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUcontext>(Current());
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetDevice(CUdevice* out) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = entry.context->ordinal;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuCtxGetDevice_v2(CUdevice* out, CUcontext handle) {
  HAMI_ENTER(Need::kInit);
  auto* found = handle == nullptr ? entry.context : Find<Context>(handle);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (found == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *out = found->ordinal;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetFlags(unsigned* flags) {
  HAMI_ENTER(Need::kContext);
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = entry.context->flags;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuCtxSetFlags(unsigned flags) {
  HAMI_ENTER(Need::kContext);
  if (CheckFlags(flags) != CUDA_SUCCESS) return CUDA_ERROR_INVALID_VALUE;
  entry.context->flags = flags;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetId(CUcontext handle, unsigned long long* id) {
  HAMI_ENTER(Need::kInit);
  auto* found = handle == nullptr ? entry.context : Find<Context>(handle);
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (found == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *id = found->id;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetApiVersion(CUcontext handle, unsigned* version) {
  HAMI_ENTER(Need::kInit);
  auto* found = handle == nullptr ? entry.context : Find<Context>(handle);
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (found == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *version = 3020;  // of the context interface, not of the driver
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetCacheConfig(int* config) {
  HAMI_ENTER(Need::kContext);
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *config = entry.context->cache_config;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuCtxSetCacheConfig(int config) {
  HAMI_ENTER(Need::kContext);
  if (config < 0 || config > 3) return CUDA_ERROR_INVALID_VALUE;
  entry.context->cache_config = config;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuCtxGetSharedMemConfig(int* config) {
  HAMI_ENTER(Need::kContext);
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *config = entry.context->shared_config;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuCtxSetSharedMemConfig(int config) {
  HAMI_ENTER(Need::kContext);
  if (config < 0 || config > 2) return CUDA_ERROR_INVALID_VALUE;
  entry.context->shared_config = config;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuCtxResetPersistingL2Cache() {
  HAMI_ENTER(Need::kContext);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  HAMI_ENTER(Need::kContext);
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return CUDA_SUCCESS;
}
