// SPDX-License-Identifier: Apache-2.0
//
// Events. An event remembers a place of a lane; one with timing also has a slot in the shared
// state, into which whoever computes the timeline writes when the place was reached.

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/ipc_events.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/streams.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {

void DestroyEvent(Event* event) {
  if (event->shared_plus_1 != 0) {
    LockGuard guard(process.machine);
    UnshareEvent(*event);
  }
  if (event->slot >= 0) {
    LockGuard guard(process.machine);
    CloseEventSlot(*process.machine.state, static_cast<uint32_t>(event->slot));
  }
  DeleteObject(event);
}

CUresult RecordEvent(Entry& entry, Event& event, Stream& stream) {
  if (stream.capture != nullptr) return CaptureRecord(stream, event);
  if (event.owner != stream.owner) return CUDA_ERROR_INVALID_HANDLE;
  event.capture = nullptr;
  event.node = nullptr;
  Op op = {};
  op.kind = OpKind::kRecord;
  op.work = WorkKind::kMark;
  op.event = &event;
  return Perform(entry, stream, op);
}

CUresult WaitEvent(Entry& entry, Stream& stream, Event& event) {
  if (stream.capture != nullptr || IsCaptured(event)) return CaptureWait(stream, event);
  FetchPlace(&event);
  if (!event.recorded) return CUDA_SUCCESS;  // nothing to wait for
  Op op = {};
  op.kind = OpKind::kWait;
  op.work = WorkKind::kWait;
  op.event = &event;
  return Perform(entry, stream, op);
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

constexpr unsigned kEventFlags =
    CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;

CUresult Destroy(CUevent handle) {
  HAMI_ENTER(Need::kInit);
  auto* event = Find<Event>(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  DestroyEvent(event);
  return CUDA_SUCCESS;
}

CUresult Record(CUevent handle, CUstream stream_handle, unsigned flags, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  auto* event = Find<Event>(handle);
  Stream* stream = ResolveStream(entry.context, stream_handle, per_thread);
  if (stream == nullptr) return NoStream(stream_handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
  if (flags == 1 && stream->capture != nullptr)
    return CUDA_ERROR_NOT_SUPPORTED;  // an external node
  return RecordEvent(entry, *event, *stream);
}

CUresult Wait(CUstream stream_handle, CUevent handle, unsigned flags, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  auto* event = Find<Event>(handle);
  Stream* stream = ResolveStream(entry.context, stream_handle, per_thread);
  if (stream == nullptr) return NoStream(stream_handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
  if (flags == 1 && stream->capture != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return WaitEvent(entry, *stream, *event);
}

CUresult Elapsed(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  HAMI_ENTER(Need::kInit);
  auto* start = Find<Event>(start_handle);
  auto* end = Find<Event>(end_handle);
  if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (start == nullptr || end == nullptr || start->slot < 0 || end->slot < 0 || !start->recorded ||
      !end->recorded) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  hami::simgpu::State& state = *process.machine.state;
  hami::simgpu::LockGuard guard(process.machine);
  hami::simgpu::AdvanceAll(state, hami::simgpu::os::NowNs());
  const uint64_t start_ns = state.events[start->slot].done_ns;
  const uint64_t end_ns = state.events[end->slot].done_ns;
  if (start_ns == 0 || end_ns == 0) return CUDA_ERROR_NOT_READY;
  *milliseconds =
      static_cast<float>(static_cast<double>(end_ns) - static_cast<double>(start_ns)) / 1e6F;
  return CUDA_SUCCESS;
}

}  // namespace

HAMI_SIM_API CUresult cuEventCreate(CUevent* out, unsigned flags) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || (flags & ~kEventFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((flags & CU_EVENT_INTERPROCESS) != 0) {
    if ((flags & CU_EVENT_DISABLE_TIMING) == 0) return CUDA_ERROR_INVALID_VALUE;
  }
  int slot = -1;
  if ((flags & CU_EVENT_DISABLE_TIMING) == 0) {
    hami::simgpu::LockGuard guard(process.machine);
    slot = hami::simgpu::OpenEventSlot(process.machine, *process.machine.state);
    if (slot < 0) return CUDA_ERROR_OUT_OF_MEMORY;
  }
  auto* event = NewObject<Event>(entry.context);
  event->flags = flags;
  event->slot = slot;
  if ((flags & CU_EVENT_INTERPROCESS) != 0) {
    hami::simgpu::LockGuard guard(process.machine);
    if (!ShareEvent(event)) {
      DeleteObject(event);
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
  }
  *out = reinterpret_cast<CUevent>(event);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuEventDestroy(CUevent event) { return Destroy(event); }
HAMI_SIM_API CUresult cuEventDestroy_v2(CUevent event) { return Destroy(event); }

HAMI_SIM_API CUresult cuEventRecord(CUevent event, CUstream stream) {
  return Record(event, stream, 0, false);
}
HAMI_SIM_API CUresult cuEventRecord_ptsz(CUevent event, CUstream stream) {
  return Record(event, stream, 0, true);
}
HAMI_SIM_API CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  return Record(event, stream, flags, false);
}
HAMI_SIM_API CUresult cuEventRecordWithFlags_ptsz(CUevent event, CUstream stream, unsigned flags) {
  return Record(event, stream, flags, true);
}
HAMI_SIM_API CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  return Wait(stream, event, flags, false);
}
HAMI_SIM_API CUresult cuStreamWaitEvent_ptsz(CUstream stream, CUevent event, unsigned flags) {
  return Wait(stream, event, flags, true);
}

HAMI_SIM_API CUresult cuEventQuery(CUevent handle) {
  HAMI_ENTER(Need::kInit);
  auto* event = Find<Event>(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (IsCaptured(*event)) return RefuseCaptured(*event);
  FetchPlace(event);
  hami::simgpu::State& state = *process.machine.state;
  hami::simgpu::LockGuard guard(process.machine);
  hami::simgpu::AdvanceAll(state, hami::simgpu::os::NowNs());
  return hami::simgpu::IsReached(state, event->place) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

HAMI_SIM_API CUresult cuEventSynchronize(CUevent handle) {
  HAMI_ENTER(Need::kInit);
  auto* event = Find<Event>(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (IsCaptured(*event)) return RefuseCaptured(*event);
  FetchPlace(event);
  const uint32_t device = event->owner->device;
  entry.WaitFor(event->place);
  TrimPoolsAfterSynchronisation(device);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return Elapsed(milliseconds, start, end);
}
HAMI_SIM_API CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent start, CUevent end) {
  return Elapsed(milliseconds, start, end);
}
