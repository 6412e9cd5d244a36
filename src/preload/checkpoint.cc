// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints. While a process is checkpointed its memory is not on the device, and it stays
// charged all the same: so the restore always fits into the slice. A process is often checkpointed
// by another one, and its library does not see it; the charge is right either way.
//
// A restore may move memory to other devices. The charges of the process would stay behind, so
// where there are limits that is refused as a driver does that cannot do it.

#include "preload/driver.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

// The beginning of CUcheckpointRestoreArgs since CUDA 13.0; before, it is zeros.
struct GpuPair {
  CUuuid from;
  CUuuid to;
};
struct RestoreArgs {
  const GpuPair* pairs;
  unsigned int count;
};

bool MovesMemory(const CUcheckpointRestoreArgs* args) {
  if (args == nullptr) return false;
  const auto* restore = reinterpret_cast<const RestoreArgs*>(args);
  for (unsigned i = 0; restore->pairs != nullptr && i < restore->count; ++i) {
    const GpuPair& pair = restore->pairs[i];
    if (__builtin_memcmp(&pair.from, &pair.to, sizeof(CUuuid)) != 0) return true;
  }
  return false;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuCheckpointProcessRestore(int pid, CUcheckpointRestoreArgs* args) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (MovesMemory(args) && EnterCuda() != Mode::kPass) return CUDA_ERROR_NOT_SUPPORTED;
  return cuda.cuCheckpointProcessRestore(pid, args);
}

}  // extern "C"
