// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/ipc_events.h"

#include <string.h>

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kHandleMagic = 0x31767369'6d6973;  // "simisv1"

// What a CUipcEventHandle holds.
struct Handle {
  uint64_t magic;
  uint64_t machine;  // inode of the state
  uint32_t index;
  uint32_t generation;
};

State& TheState() { return *process.machine.state; }

bool HasMaker(const SharedEvent& shared) {
  if (shared.client_plus_1 == 0) return false;
  const Client& client = TheState().clients[shared.client_plus_1 - 1];
  return client.in_use != 0 && client.generation == shared.client_generation;
}

bool IsOwn(const SharedEvent& shared) { return shared.client_plus_1 == process.machine.client + 1; }

// The entry that the event means; nullptr: it is somebody else's by now.
SharedEvent* EntryOf(const Event& event) {
  if (event.shared_plus_1 == 0) return nullptr;
  SharedEvent& shared = TheState().shared_events[event.shared_plus_1 - 1];
  return shared.generation == event.shared_generation && HasMaker(shared) ? &shared : nullptr;
}

}  // namespace

bool ShareEvent(Event* event) {
  for (uint32_t index = 0; index < kMaxSharedEvents; ++index) {
    SharedEvent& shared = TheState().shared_events[index];
    if (HasMaker(shared)) continue;
    const uint32_t client = process.machine.client;
    shared.place = {};
    ++shared.generation;
    shared.client_generation = TheState().clients[client].generation;
    shared.client_plus_1 = client + 1;
    event->shared_plus_1 = index + 1;
    event->shared_generation = shared.generation;
    return true;
  }
  return false;
}

void UnshareEvent(const Event& event) {
  SharedEvent* shared = EntryOf(event);
  if (shared != nullptr && IsOwn(*shared)) shared->client_plus_1 = 0;
}

void PublishPlace(const Event& event) {
  if (SharedEvent* shared = EntryOf(event)) shared->place = event.place;
}

void FetchPlace(Event* event) {
  if (event->shared_plus_1 == 0) return;
  LockGuard guard(process.machine);
  const SharedEvent* shared = EntryOf(*event);
  event->place = shared != nullptr ? shared->place : Place{};
  event->recorded = event->place.seq != 0;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

// CUipcEventHandle.
struct IpcEventHandle {
  char reserved[64];
};
static_assert(sizeof(Handle) <= sizeof(IpcEventHandle));

}  // namespace

HAMI_SIM_API CUresult cuIpcGetEventHandle(IpcEventHandle* out, CUevent event_handle) {
  HAMI_ENTER(Need::kContext);
  const auto* event = Find<Event>(event_handle);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (event == nullptr || event->shared_plus_1 == 0) return CUDA_ERROR_INVALID_HANDLE;
  const Handle handle = {kHandleMagic, process.machine.file_inode, event->shared_plus_1 - 1,
                         event->shared_generation};
  memset(out, 0, sizeof(*out));
  memcpy(out, &handle, sizeof(handle));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuIpcOpenEventHandle(CUevent* out, IpcEventHandle given) {
  HAMI_ENTER(Need::kContext);
  Handle handle;
  memcpy(&handle, &given, sizeof(handle));
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (handle.magic != kHandleMagic || handle.machine != process.machine.file_inode ||
      handle.index >= hami::simgpu::kMaxSharedEvents) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  {
    hami::simgpu::LockGuard guard(process.machine);
    const hami::simgpu::SharedEvent& shared = TheState().shared_events[handle.index];
    if (!HasMaker(shared) || shared.generation != handle.generation) {
      return CUDA_ERROR_INVALID_HANDLE;
    }
    if (IsOwn(shared)) return CUDA_ERROR_INVALID_CONTEXT;  // who made it has it
  }
  auto* event = NewObject<Event>(entry.context);
  event->flags = CU_EVENT_DISABLE_TIMING;
  event->slot = -1;
  event->shared_plus_1 = handle.index + 1;
  event->shared_generation = handle.generation;
  *out = reinterpret_cast<CUevent>(event);
  return CUDA_SUCCESS;
}
