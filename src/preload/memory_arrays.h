// SPDX-License-Identifier: Apache-2.0
//
// Arrays and mipmapped arrays: an estimate is charged when one is made.

#pragma once

#include "api/cuda/types.h"

namespace hami::preload {

// Refunds what a destroyed context took with it.
void ForgetArraysOf(CUcontext context);

void ResetArraysAfterFork();

}  // namespace hami::preload
