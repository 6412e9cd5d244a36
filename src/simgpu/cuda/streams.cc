// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/streams.h"

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/green.h"
#include "simgpu/cuda/host_functions.h"
#include "simgpu/cuda/ipc_events.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

constexpr unsigned kNonBlocking = 1;
constexpr uint32_t kNoSlot = UINT32_MAX;
constexpr int kGreatestPriority = -5;

uint32_t NextLane(Context* context, unsigned flags) {
  if ((flags & kNonBlocking) != 0) {
    return kFirstNonBlockingLane + context->next_free_lane++ % (kLanes - kFirstNonBlockingLane);
  }
  return kFirstBlockingLane +
         context->next_blocking_lane++ % (kFirstNonBlockingLane - kFirstBlockingLane);
}

Stream* LegacyStream(Context* context) {
  if (context->legacy == nullptr) {
    context->legacy = NewObject<Stream>(context);
    context->legacy->lane = kLegacyLane;
    context->legacy->id = 1;
  }
  return context->legacy;
}

Stream* ThreadStream(Context* context) {
  const uint64_t thread = ThreadId();
  for (Object* at = context->objects; at != nullptr; at = at->next) {
    if (at->kind != Kind::kStream) continue;
    auto* stream = reinterpret_cast<Stream*>(at);
    if (stream->thread == thread) return stream;
  }
  Stream* stream = NewStream(context, nullptr, 0, 0);
  stream->thread = thread;
  return stream;
}

// The timeline's item for an operation; under the machine's lock.
WorkItem ItemFor(const Context& context, const Op& op, uint64_t now_ns) {
  WorkItem item = {};
  item.kind = op.work;
  item.remaining_ns = op.ns;
  item.demand_q16 = op.demand_q16 & 0x7fffffff;
  // Every command takes the same way to the device, so the order of submission is that of arrival.
  item.ready_ns = now_ns + ConfigOf(context.device).launch_ns;
  if (op.kind == OpKind::kWait) {
    item.wait = op.event->place;
  } else if (op.kind == OpKind::kRecord) {
    item.mark.slot = kNoSlot;
    if (op.event->slot >= 0) {
      EventSlot& slot = process.machine.state->events[op.event->slot];
      slot.done_ns = 0;
      item.mark = {static_cast<uint32_t>(op.event->slot), ++slot.record};
    }
  }
  return item;
}

CUresult Synchronise(Entry& entry, Stream* stream) {
  const CUresult captured = CheckNotCaptured(entry.context, stream);
  if (captured != CUDA_SUCCESS) return captured;
  Context* context = stream->owner;
  const uint32_t device = context->device;
  // The legacy stream's end is behind what the blocking streams have got so far.
  const uint32_t last = stream->lane == kLegacyLane ? kFirstNonBlockingLane - 1 : stream->lane;
  const uint32_t queue = context->queue;
  for (uint32_t lane = stream->lane; lane <= last; ++lane) {
    Place place;
    {
      LockGuard guard(process.machine);
      place = EndOfLane(*process.machine.state, queue, lane);
    }
    entry.WaitFor(place);
  }
  TrimPoolsAfterSynchronisation(device);
  return CUDA_SUCCESS;
}

}  // namespace

Stream* NewStream(Context* context, Green* green, unsigned flags, int priority) {
  auto* stream = NewObject<Stream>(context);
  stream->flags = flags;
  stream->priority = priority > 0 ? 0 : priority < kGreatestPriority ? kGreatestPriority : priority;
  stream->lane = NextLane(context, flags);
  stream->id = ++process.next_id;
  stream->green = green;
  return stream;
}

Stream* ResolveStream(Context* context, CUstream handle, bool per_thread) {
  const bool of_thread = handle == HAMI_CU_STREAM_PER_THREAD || (handle == nullptr && per_thread);
  if (of_thread || handle == nullptr || handle == HAMI_CU_STREAM_LEGACY) {
    Green* green = CurrentGreen();
    if (green == nullptr) return of_thread ? ThreadStream(context) : LegacyStream(context);
    return of_thread ? nullptr : DefaultStreamOf(green);
  }
  auto* stream = Find<Stream>(handle);
  return stream != nullptr && !stream->detached ? stream : nullptr;
}

CUresult NoStream(CUstream handle) {
  return Find<Stream>(handle) != nullptr ? CUDA_ERROR_STREAM_DETACHED : CUDA_ERROR_INVALID_HANDLE;
}

void Queue(Entry& entry, Stream& stream, const Op& op) {
  if (op.kind == OpKind::kEmpty || op.kind == OpKind::kChild) return;
  if (op.kind == OpKind::kHost) return QueueHost(entry, stream, op.host);
  State& state = *process.machine.state;
  while (true) {
    const Context& context = *stream.owner;
    Place oldest;
    {
      LockGuard guard(process.machine);
      const uint64_t now_ns = os::NowNs();
      Advance(state, context.device, now_ns);
      const Lane& lane = state.contexts[context.queue].lanes[stream.lane];
      if (lane.submitted - lane.completed < kLaneItems) {
        const Op fitted = FitIntoGreen(stream, op);
        Submit(state, context.queue, stream.lane, ItemFor(context, fitted, now_ns), now_ns);
        if (op.kind == OpKind::kRecord) {
          op.event->place = EndOfLane(state, context.queue, stream.lane);
          op.event->recorded = true;
          PublishPlace(*op.event);
        }
        return;
      }
      oldest = EndOfLane(state, context.queue, stream.lane);
      oldest.seq -= kLaneItems - 1;
    }
    entry.WaitFor(oldest);
    // Meanwhile another thread may have destroyed what this operation needs.
    if (!IsLive(&stream, Kind::kStream)) return;
    if (op.event != nullptr && !IsLive(op.event, Kind::kEvent)) return;
  }
}

CUresult Perform(Entry& entry, Stream& stream, const Op& op) {
  if (stream.capture != nullptr) return CaptureOp(stream, op);
  if (stream.lane == kLegacyLane) {
    const CUresult implicit = CheckLegacyUse(stream.owner);
    if (implicit != CUDA_SUCCESS) return implicit;
  }
  Queue(entry, stream, op);
  return CUDA_SUCCESS;
}

Place EndOf(const Stream& stream) {
  LockGuard guard(process.machine);
  return EndOfLane(*process.machine.state, stream.owner->queue, stream.lane);
}

void DestroyStream(Stream* stream) {
  if (stream->owner->legacy == stream) stream->owner->legacy = nullptr;
  if (stream->capture != nullptr) AbandonCapture(stream);
  DeleteObject(stream);
}

void WaitForAllStreams(Entry& entry) { WaitForAllStreams(entry, *entry.context); }

void WaitForAllStreams(Entry& entry, const Context& context) {
  const uint32_t queue = context.queue;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    Place place;
    {
      LockGuard guard(process.machine);
      place = EndOfLane(*process.machine.state, queue, lane);
      if (IsReached(*process.machine.state, place)) continue;
    }
    entry.WaitFor(place);
  }
}

uint64_t CopyNs(const Context& context, uint64_t bytes, WorkKind kind) {
  const DeviceConfig& config = ConfigOf(context.device);
  const uint64_t bps = kind == WorkKind::kCopyToDevice ? config.host_to_device_bps
                       : kind == WorkKind::kCopyToHost ? config.device_to_host_bps
                                                       : config.device_to_device_bps;
  if (bps == 0) return 1000;
  const auto ns =
      static_cast<uint64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(bps));
  return ns + 1000;  // the start of a transfer
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

// The stream of a call, or the error.
#define HAMI_ENTER_STREAM(handle, per_thread)                        \
  HAMI_ENTER(Need::kContext);                                        \
  Stream* stream = ResolveStream(entry.context, handle, per_thread); \
  if (stream == nullptr) return NoStream(handle)

CUresult Create(CUstream* out, unsigned flags, int priority) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || flags > kNonBlocking) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUstream>(NewStream(entry.context, CurrentGreen(), flags, priority));
  return CUDA_SUCCESS;
}

CUresult Destroy(CUstream handle) {
  HAMI_ENTER(Need::kInit);
  auto* stream = Find<Stream>(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  DestroyStream(stream);
  return CUDA_SUCCESS;
}

CUresult Query(CUstream handle, bool per_thread) {
  HAMI_ENTER_STREAM(handle, per_thread);
  const CUresult captured = CheckNotCaptured(entry.context, stream);
  if (captured != CUDA_SUCCESS) return captured;
  hami::simgpu::State& state = *process.machine.state;
  const Context& context = *stream->owner;
  hami::simgpu::LockGuard guard(process.machine);
  hami::simgpu::AdvanceAll(state, hami::simgpu::os::NowNs());
  const bool done =
      hami::simgpu::IsReached(state, hami::simgpu::EndOfLane(state, context.queue, stream->lane));
  return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult Wait(CUstream handle, bool per_thread) {
  HAMI_ENTER_STREAM(handle, per_thread);
  return Synchronise(entry, stream);
}

template <typename T, typename Value>
CUresult Give(CUstream handle, bool per_thread, T* out, Value value) {
  HAMI_ENTER_STREAM(handle, per_thread);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = value(*stream);
  return CUDA_SUCCESS;
}

CUcontext ContextOf(const Stream& stream) {
  return reinterpret_cast<CUcontext>(stream.green != nullptr ? stream.green->stand_in
                                                             : stream.owner);
}
unsigned FlagsOf(const Stream& stream) { return stream.flags; }
int PriorityOf(const Stream& stream) { return stream.priority; }
unsigned long long IdOf(const Stream& stream) { return stream.id; }
CUdevice DeviceOf(const Stream& stream) { return stream.owner->ordinal; }

}  // namespace

HAMI_SIM_API CUresult cuStreamCreate(CUstream* out, unsigned flags) {
  return Create(out, flags, 0);
}
HAMI_SIM_API CUresult cuStreamCreateWithPriority(CUstream* out, unsigned flags, int priority) {
  return Create(out, flags, priority);
}
HAMI_SIM_API CUresult cuStreamDestroy(CUstream stream) { return Destroy(stream); }
HAMI_SIM_API CUresult cuStreamDestroy_v2(CUstream stream) { return Destroy(stream); }

// Both forms of a function: for the legacy and for the per-thread default stream.
#define BOTH(name, parameters, legacy_call, thread_call)        \
  HAMI_SIM_API CUresult name parameters { return legacy_call; } \
  HAMI_SIM_API CUresult name##_ptsz parameters { return thread_call; }

BOTH(cuStreamQuery, (CUstream s), Query(s, false), Query(s, true))
BOTH(cuStreamSynchronize, (CUstream s), Wait(s, false), Wait(s, true))
BOTH(cuStreamGetCtx, (CUstream s, CUcontext* out), Give(s, false, out, ContextOf),
     Give(s, true, out, ContextOf))
BOTH(cuStreamGetFlags, (CUstream s, unsigned* out), Give(s, false, out, FlagsOf),
     Give(s, true, out, FlagsOf))
BOTH(cuStreamGetPriority, (CUstream s, int* out), Give(s, false, out, PriorityOf),
     Give(s, true, out, PriorityOf))
BOTH(cuStreamGetId, (CUstream s, unsigned long long* out), Give(s, false, out, IdOf),
     Give(s, true, out, IdOf))
BOTH(cuStreamGetDevice, (CUstream s, CUdevice* out), Give(s, false, out, DeviceOf),
     Give(s, true, out, DeviceOf))

HAMI_SIM_API CUresult cuCtxSynchronize() {
  HAMI_ENTER(Need::kContext);
  const CUresult captured = CheckNotCaptured(entry.context, nullptr);
  if (captured != CUDA_SUCCESS) return captured;
  const uint32_t device = entry.context->device;
  WaitForAllStreams(entry);
  TrimPoolsAfterSynchronisation(device);
  return CUDA_SUCCESS;
}
