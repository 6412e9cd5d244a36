// SPDX-License-Identifier: Apache-2.0
//
// Arrays and mipmapped arrays: an estimate is charged when one is made.

#pragma once

#include <cstdint>

#include "api/cuda/types.h"

namespace hami::preload {

// What a plain array of this shape is estimated to take, in bytes; UINT64_MAX for one that is
// larger than any device.
uint64_t EstimateArray(const CUDA_ARRAY3D_DESCRIPTOR& shape);

// Refunds what a destroyed context took with it.
void ForgetArraysOf(CUcontext context);

void ResetArraysAfterFork();

}  // namespace hami::preload
