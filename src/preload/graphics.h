// SPDX-License-Identifier: Apache-2.0
//
// Memory of graphics interfaces in this process that CUDA is shown (graphics.cc).

#pragma once

#include "api/cuda/types.h"

namespace hami::preload {

// Refunds what a destroyed context took with it.
void ForgetGraphicsOf(CUcontext context);

void ResetGraphicsAfterFork();

}  // namespace hami::preload
