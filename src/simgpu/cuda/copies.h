// SPDX-License-Identifier: Apache-2.0
//
// What the files of copies and sets share: how a call is made, and how it ends.

#pragma once

#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

struct CopyCall {
  CUstream stream = nullptr;
  bool wait = true;
  bool per_thread = false;
};

// Queues the operation; a synchronous form waits for it.
CUresult FinishCopy(Entry& entry, Stream& stream, const Op& op, bool wait);

}  // namespace hami::simgpu::cuda

// The synchronous function and its per-thread form, and the asynchronous one and its form.
#define SYNCHRONOUS(name, suffix, parameters, operation) \
  HAMI_SIM_API CUresult name parameters {                \
    const CopyCall call = {};                            \
    return operation;                                    \
  }                                                      \
  HAMI_SIM_API CUresult name##suffix parameters {        \
    const CopyCall call = {nullptr, true, true};         \
    return operation;                                    \
  }
#define STREAM_ORDERED(name, parameters, operation) \
  HAMI_SIM_API CUresult name parameters {           \
    const CopyCall call = {stream, false, false};   \
    return operation;                               \
  }                                                 \
  HAMI_SIM_API CUresult name##_ptsz parameters {    \
    const CopyCall call = {stream, false, true};    \
    return operation;                               \
  }
