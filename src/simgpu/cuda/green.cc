// SPDX-License-Identifier: Apache-2.0
//
// Green contexts and their streams. Splitting multiprocessors is in green_split.cc.

#include "simgpu/cuda/green.h"

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"

namespace hami::simgpu::cuda {
namespace {

constexpr unsigned kNonBlocking = 1;
constexpr int kFirstOptionalDefaultStream = 13010;  // CUDA release

bool IsPrimaryAlive(const Green& green) {
  return IsLive(green.primary, Kind::kContext) && green.primary->id == green.primary_id;
}

Context* MakeStandIn(Green* green) {
  auto* made = NewObject<Context>(nullptr);
  made->green = green;
  made->device = green->device;
  made->ordinal = green->ordinal;
  made->queue = green->primary->queue;
  made->primary = true;  // not to be destroyed by cuCtxDestroy
  made->flags = green->primary->flags;
  made->id = green->id;
  return made;
}

// Streams of a destroyed green context are good for cuStreamDestroy only.
void DetachStreams(Green* green) {
  for (Object* at = green->primary->objects; at != nullptr; at = at->next) {
    if (at->kind != Kind::kStream) continue;
    auto* stream = reinterpret_cast<Stream*>(at);
    if (stream->green != green) continue;
    if (stream->capture != nullptr) AbandonCapture(stream);
    stream->green = nullptr;
    stream->detached = true;
  }
}

template <typename Visit>
CUresult ForEachStream(Green* green, const Visit& visit) {
  for (Object* at = green->primary->objects; at != nullptr;) {
    Object* next = at->next;
    auto* stream = reinterpret_cast<Stream*>(at);
    if (at->kind == Kind::kStream && stream->green == green) {
      const CUresult result = visit(stream);
      if (result != CUDA_SUCCESS) return result;
    }
    at = next;
  }
  return CUDA_SUCCESS;
}

bool HasCapture(Green* green) {
  return ForEachStream(green, [](Stream* stream) {
           return stream->capture == nullptr ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
         }) != CUDA_SUCCESS;
}

// The green context of a call, with its primary context alive.
CUresult FindGreen(CUgreenCtx handle, Green** green) {
  *green = Find<Green>(handle);
  if (*green == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  return IsPrimaryAlive(**green) ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult Create(CUgreenCtx* out, CUdevResourceDesc desc, CUdevice ordinal, unsigned flags) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  auto* descriptor = Find<Descriptor>(desc);
  const bool optional = MachineOf().cuda_version >= kFirstOptionalDefaultStream;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  if (out == nullptr || descriptor == nullptr || descriptor->device != device) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (flags != CU_GREEN_CTX_DEFAULT_STREAM && (flags != 0 || !optional)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Context* primary = nullptr;
  const CUresult result = RetainPrimaryContext(ordinal, &primary);
  if (result != CUDA_SUCCESS) return result;
  auto* green = NewObject<Green>(nullptr);
  green->primary = primary;
  green->primary_id = primary->id;
  green->device = device;
  green->ordinal = ordinal;
  green->id = ++process.next_id;
  green->resource = AsOfContext(descriptor->resource);
  green->stand_in = MakeStandIn(green);
  *out = reinterpret_cast<CUgreenCtx>(green);
  return CUDA_SUCCESS;
}

CUresult Destroy(CUgreenCtx handle) {
  HAMI_ENTER(Need::kInit);
  auto* green = Find<Green>(handle);
  if (green == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (IsPrimaryAlive(*green)) {
    if (green->default_stream != nullptr) DestroyStream(green->default_stream);
    DetachStreams(green);
    ReleasePrimaryContext(green->ordinal);
  }
  if (Current() == green->stand_in) PopCurrent(nullptr);
  DeleteObject(green->stand_in);
  DeleteObject(green);
  return CUDA_SUCCESS;
}

// An event has one place: the default stream waits for the others and records it.
CUresult Record(CUgreenCtx handle, CUevent event_handle) {
  HAMI_ENTER(Need::kInit);
  Green* green = nullptr;
  const CUresult found = FindGreen(handle, &green);
  auto* event = Find<Event>(event_handle);
  if (found != CUDA_SUCCESS) return found;
  if (event == nullptr || event->owner != green->primary) return CUDA_ERROR_INVALID_HANDLE;
  if (HasCapture(green)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  Stream* last = DefaultStreamOf(green);
  auto* end = NewObject<Event>(green->primary);
  end->slot = -1;
  end->recorded = true;
  ForEachStream(green, [&](Stream* stream) {
    if (stream == last) return CUDA_SUCCESS;
    end->place = EndOf(*stream);
    Op op = {};
    op.kind = OpKind::kWait;
    op.work = WorkKind::kWait;
    op.event = end;
    Queue(entry, *last, op);
    return CUDA_SUCCESS;
  });
  DeleteObject(end);
  return RecordEvent(entry, *event, *last);
}

// Streams that are made later do not wait.
CUresult Wait(CUgreenCtx handle, CUevent event_handle) {
  HAMI_ENTER(Need::kInit);
  Green* green = nullptr;
  const CUresult found = FindGreen(handle, &green);
  auto* event = Find<Event>(event_handle);
  if (found != CUDA_SUCCESS) return found;
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (HasCapture(green) || IsCaptured(*event)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  DefaultStreamOf(green);
  return ForEachStream(green, [&](Stream* stream) { return WaitEvent(entry, *stream, *event); });
}

CUresult GreenOfStream(CUstream handle, bool per_thread, CUgreenCtx* out) {
  HAMI_ENTER(Need::kContext);
  const Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return NoStream(handle);
  if (out != nullptr) *out = reinterpret_cast<CUgreenCtx>(stream->green);
  return CUDA_SUCCESS;
}

CUresult ContextsOfStream(CUstream handle, bool per_thread, CUcontext* context, CUgreenCtx* green) {
  HAMI_ENTER(Need::kContext);
  const Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return NoStream(handle);
  if (context == nullptr || green == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = reinterpret_cast<CUcontext>(stream->owner);
  *green = reinterpret_cast<CUgreenCtx>(stream->green);
  return CUDA_SUCCESS;
}

}  // namespace

Green* CurrentGreen() {
  const Context* current = Current();
  return IsLive(current, Kind::kContext) ? current->green : nullptr;
}

Context* PrimaryBehind(const Context& stand_in) {
  return IsPrimaryAlive(*stand_in.green) ? stand_in.green->primary : nullptr;
}

Stream* DefaultStreamOf(Green* green) {
  if (green->default_stream == nullptr) {
    green->default_stream = NewStream(green->primary, green, kNonBlocking, 0);
  }
  return green->default_stream;
}

uint32_t MultiprocessorsOf(const Stream& stream) {
  return stream.green != nullptr ? stream.green->resource.sm_count
                                 : ConfigOf(stream.owner->device).multiprocessors;
}

Op FitIntoGreen(const Stream& stream, const Op& op) {
  if (stream.green == nullptr || op.kind != OpKind::kKernel) return op;
  const uint64_t all = ConfigOf(stream.owner->device).multiprocessors;
  const auto share_q16 = static_cast<uint32_t>(uint64_t{65536} * MultiprocessorsOf(stream) / all);
  if (op.demand_q16 <= share_q16 || share_q16 == 0) return op;
  Op fitted = op;
  fitted.ns = op.ns * op.demand_q16 / share_q16;
  fitted.demand_q16 = share_q16;
  return fitted;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuGreenCtxCreate(CUgreenCtx* out, CUdevResourceDesc desc, CUdevice device,
                                       unsigned int flags) {
  return Create(out, desc, device, flags);
}
HAMI_SIM_API CUresult cuGreenCtxDestroy(CUgreenCtx green) { return Destroy(green); }
HAMI_SIM_API CUresult cuGreenCtxRecordEvent(CUgreenCtx green, CUevent event) {
  return Record(green, event);
}
HAMI_SIM_API CUresult cuGreenCtxWaitEvent(CUgreenCtx green, CUevent event) {
  return Wait(green, event);
}

HAMI_SIM_API CUresult cuCtxFromGreenCtx(CUcontext* out, CUgreenCtx handle) {
  HAMI_ENTER(Need::kInit);
  auto* green = Find<Green>(handle);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (green == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *out = reinterpret_cast<CUcontext>(green->stand_in);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGreenCtxStreamCreate(CUstream* out, CUgreenCtx handle, unsigned int flags,
                                             int priority) {
  HAMI_ENTER(Need::kInit);
  Green* green = nullptr;
  if (out == nullptr || flags != kNonBlocking) return CUDA_ERROR_INVALID_VALUE;
  const CUresult found = FindGreen(handle, &green);
  if (found != CUDA_SUCCESS) return found;
  *out = reinterpret_cast<CUstream>(NewStream(green->primary, green, flags, priority));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGreenCtxGetId(CUgreenCtx handle, unsigned long long* id) {
  HAMI_ENTER(Need::kInit);
  const Green* green = handle == nullptr ? CurrentGreen() : Find<Green>(handle);
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (green == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *id = green->id;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuStreamGetGreenCtx(CUstream stream, CUgreenCtx* green) {
  return GreenOfStream(stream, false, green);
}
HAMI_SIM_API CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext* context, CUgreenCtx* green) {
  return ContextsOfStream(stream, false, context, green);
}
HAMI_SIM_API CUresult cuStreamGetCtx_v2_ptsz(CUstream stream, CUcontext* context,
                                             CUgreenCtx* green) {
  return ContextsOfStream(stream, true, context, green);
}
