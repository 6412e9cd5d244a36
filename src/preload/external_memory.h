// SPDX-License-Identifier: Apache-2.0
//
// Memory of another interface, such as Vulkan, that is imported (external_memory.cc).

#pragma once

#include <cstdint>

#include "api/cuda/types.h"

namespace hami::preload {

// Something that keeps imported memory: the import's handle, a buffer or an array on it.
struct ExternalReference {
  uint64_t key;
  uint64_t memory;  // a number of ours
};

bool TakeExternal(uint64_t key, ExternalReference* reference);
void DropExternal(const ExternalReference& reference);
void RestoreExternal(const ExternalReference& reference);

// Gives up a handle or an address that may be a reference to imported memory, by calling `free`.
template <typename Free>
CUresult FreeExternal(uint64_t key, const Free& free) {
  ExternalReference reference;
  if (!TakeExternal(key, &reference)) return free();
  const CUresult result = free();
  if (result == CUDA_SUCCESS) {
    DropExternal(reference);
  } else {
    RestoreExternal(reference);
  }
  return result;
}

// Refunds what a destroyed context took with it.
void ForgetExternalsOf(CUcontext context);

void ResetExternalAfterFork();

}  // namespace hami::preload
