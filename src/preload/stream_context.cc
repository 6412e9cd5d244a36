// SPDX-License-Identifier: Apache-2.0

#include "preload/stream_context.h"

#include <cstdint>

#include "preload/driver.h"

namespace hami::preload {
namespace {

// Below are the default streams, which every context has.
constexpr uintptr_t kFirstRealStream = 3;

}  // namespace

InContextOf::InContextOf(CUstream stream) {
  if (cuda.cuCtxGetCurrent(&context_) != CUDA_SUCCESS) context_ = nullptr;
  if (reinterpret_cast<uintptr_t>(stream) < kFirstRealStream) return;
  CUcontext owner = nullptr;
  if (cuda.cuStreamGetCtx(stream, &owner) != CUDA_SUCCESS || owner == nullptr) return;
  if (owner == context_ || cuda.cuCtxPushCurrent_v2(owner) != CUDA_SUCCESS) return;
  context_ = owner;
  pushed_ = true;
}

InContextOf::~InContextOf() {
  CUcontext popped = nullptr;
  if (pushed_) cuda.cuCtxPopCurrent_v2(&popped);
}

}  // namespace hami::preload
