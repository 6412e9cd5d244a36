// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of the calling process: its memory leaves the devices and comes back. Content lies in
// the process anyway, so nothing is copied. Not simulated: checkpoints of other processes, and
// storage of the program's own.

#include "simgpu/cuda/streams.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

// CUprocessState.
enum class ProcessState : int { kRunning = 0, kLocked = 1, kCheckpointed = 2 };

uint64_t saved_bytes[kMaxDevices];

ProcessState Now() { return static_cast<ProcessState>(process.checkpoint_state); }
void Enter(ProcessState state) { process.checkpoint_state = static_cast<int>(state); }

uint64_t* UsedBytes(uint32_t device) {
  Machine& machine = process.machine;
  return &machine.state->clients[machine.client].devices[device].used_bytes;
}

CUresult Check(int pid, ProcessState wanted) {
  if (pid <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (pid != os::ProcessId()) return CUDA_ERROR_NOT_SUPPORTED;
  return Now() == wanted ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_STATE;
}

// What was submitted is finished first.
void FinishWork(Entry& entry) {
  for (Object* at = process.contexts; at != nullptr; at = at->next) {
    if (at->kind != Kind::kContext) continue;
    auto* context = reinterpret_cast<Context*>(at);
    if (context->green != nullptr) continue;
    entry.context = context;
    WaitForAllStreams(entry);
    if (!IsLive(context, Kind::kContext)) return FinishWork(entry);
  }
}

void LeaveDevices() {
  State& state = *process.machine.state;
  LockGuard guard(process.machine);
  for (uint32_t device = 0; device < kMaxDevices; ++device) {
    saved_bytes[device] = *UsedBytes(device);
    if (saved_bytes[device] != 0) {
      ReleaseMemory(process.machine, state, device, saved_bytes[device]);
    }
  }
}

bool ReturnToDevices() {
  State& state = *process.machine.state;
  LockGuard guard(process.machine);
  for (uint32_t device = 0; device < kMaxDevices; ++device) {
    const uint64_t bytes = saved_bytes[device];
    if (bytes == 0 || ReserveMemory(process.machine, state, device, bytes)) continue;
    while (device-- > 0) {
      if (saved_bytes[device] != 0) {
        ReleaseMemory(process.machine, state, device, saved_bytes[device]);
      }
    }
    return false;
  }
  return true;
}

}  // namespace

void WaitForUnlock(Entry& entry) {
  while (Now() != ProcessState::kRunning) {
    entry.Unlock();
    os::SleepUntil(os::NowNs() + 1'000'000);
    entry.Relock();
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuCheckpointProcessGetState(int pid, int* out) {
  HAMI_ENTER(Need::kCheckpoint);
  if (out == nullptr || pid <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (pid != hami::simgpu::os::ProcessId()) return CUDA_ERROR_NOT_SUPPORTED;
  *out = static_cast<int>(Now());
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCheckpointProcessLock(int pid, void*) {
  HAMI_ENTER(Need::kCheckpoint);
  const CUresult result = Check(pid, ProcessState::kRunning);
  if (result != CUDA_SUCCESS) return result;
  FinishWork(entry);
  Enter(ProcessState::kLocked);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCheckpointProcessCheckpoint(int pid, void* const* args) {
  HAMI_ENTER(Need::kCheckpoint);
  const CUresult result = Check(pid, ProcessState::kLocked);
  if (result != CUDA_SUCCESS) return result;
  if (args != nullptr && *args != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  LeaveDevices();
  Enter(ProcessState::kCheckpointed);
  return CUDA_SUCCESS;
}

// Remapping to other devices is not simulated: `args` begins with the pairs. Assumed: the manual
// does not say which error tells that memory is missing.
HAMI_SIM_API CUresult cuCheckpointProcessRestore(int pid, void* const* args) {
  HAMI_ENTER(Need::kCheckpoint);
  const CUresult result = Check(pid, ProcessState::kCheckpointed);
  if (result != CUDA_SUCCESS) return result;
  if (args != nullptr && *args != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (!ReturnToDevices()) return CUDA_ERROR_OUT_OF_MEMORY;
  Enter(ProcessState::kLocked);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuCheckpointProcessUnlock(int pid, void*) {
  HAMI_ENTER(Need::kCheckpoint);
  const CUresult result = Check(pid, ProcessState::kLocked);
  if (result == CUDA_SUCCESS) Enter(ProcessState::kRunning);
  return result;
}
