// SPDX-License-Identifier: Apache-2.0
//
// The limits of a context (cuCtxSetLimit) and the device memory behind them.

#pragma once

#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {

void SetDefaultLimits(Context* context);

// Gives back what grown limits took; the context goes.
void ReleaseLimitMemory(Context* context);

}  // namespace hami::simgpu::cuda
