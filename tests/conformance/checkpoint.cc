// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of the process itself.

#include <unistd.h>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr void* kNoArgs = nullptr;

int State() {
  int state = -1;
  OK("cuCheckpointProcessGetState", getpid(), &state);
  return state;
}

CASE(checkpoint_states, "Driver API, CUDA Checkpointing: lock, checkpoint, restore, unlock") {
  Start();
  const size_t before = FreeBytes();
  CUdeviceptr memory = 0;
  unsigned char seen = 0;
  OK("cuMemAlloc_v2", &memory, 8 * kMib);
  OK("cuMemsetD8_v2", memory, static_cast<unsigned char>(9), 8 * kMib);
  CHECK(State() == 0);  // CU_PROCESS_STATE_RUNNING
  GIVES(CUDA_ERROR_ILLEGAL_STATE, "cuCheckpointProcessCheckpoint", getpid(), kNoArgs);
  OK("cuCheckpointProcessLock", getpid(), kNoArgs);
  CHECK(State() == 1);  // _LOCKED
  OK("cuCheckpointProcessCheckpoint", getpid(), kNoArgs);
  CHECK(State() == 2);  // _CHECKPOINTED
  GIVES(CUDA_ERROR_ILLEGAL_STATE, "cuCheckpointProcessUnlock", getpid(), kNoArgs);
  OK("cuCheckpointProcessRestore", getpid(), kNoArgs);
  CHECK(State() == 1);
  OK("cuCheckpointProcessUnlock", getpid(), kNoArgs);
  CHECK(State() == 0);
  CHECK(before - FreeBytes() == 8 * kMib);
  OK("cuMemcpyDtoH_v2", static_cast<void*>(&seen), memory, size_t{1});
  CHECK(seen == 9);
}

}  // namespace
}  // namespace hami::conformance
