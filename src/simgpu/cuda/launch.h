// SPDX-License-Identifier: Apache-2.0
//
// From a launch to an operation of the timeline.

#pragma once

#include "simgpu/cuda/modules.h"
#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

// Checks the launch as the driver does and says how long it takes and what share of the
// multiprocessors it needs.
CUresult MakeKernelOp(Context* context, CUfunction function, const unsigned grid[3],
                      const unsigned block[3], unsigned shared_bytes, void** params, void** extra,
                      Op* op);

// Blocks of a function that one multiprocessor holds at a time; 0: does not fit.
uint32_t BlocksPerMultiprocessor(const DeviceConfig& device, const Function& function,
                                 unsigned threads, unsigned dynamic_shared_bytes);

}  // namespace hami::simgpu::cuda
