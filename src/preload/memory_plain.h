// SPDX-License-Identifier: Apache-2.0
//
// Plain, pitched and managed memory: reserve, call the driver, commit; free, then refund.

#pragma once

#include "api/cuda/types.h"
#include "preload/external_memory.h"
#include "preload/table.h"

namespace hami::preload {

// Forgets and refunds what a destroyed context took with it: every entry of the device that the
// driver does not know any more.
void PurgeDeadMemory(int ordinal);

void ResetPlainMemoryAfterFork();

struct Freed {
  CountEntry entry;
  bool is_managed;
};
bool TakeForFree(CUdeviceptr pointer, Freed* freed);
void RestoreFreed(const Freed& freed);
void RefundFreed(const Freed& freed);

// Frees `pointer` by calling `free`. An entry leaves the table before the driver frees its address,
// because another thread may be handed the same address the moment it is free; it is refunded after
// the free has succeeded. A pointer that we have not seen is forwarded.
template <typename Free>
CUresult FreeTracked(CUdeviceptr pointer, const Free& free) {
  Freed freed;
  if (!TakeForFree(pointer, &freed)) return FreeExternal(pointer, free);
  const CUresult result = free();
  if (result == CUDA_SUCCESS) {
    RefundFreed(freed);
  } else {
    RestoreFreed(freed);
  }
  return result;
}

}  // namespace hami::preload
