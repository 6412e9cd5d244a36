// SPDX-License-Identifier: Apache-2.0
//
// What contexts cost: charged before they exist, refunded when they are gone. A primary context is
// charged once however often it is retained.
//
// A green context is a part of the multiprocessors in the primary context: it retains that one and
// has no memory of its own that we know of.
#pragma once

#include "api/cuda/types.h"

namespace hami::preload {

// A context that stands for a green one shares the limits of the primary context: that one's
// handle. Any other context: itself.
CUcontext PrimaryIfGreen(CUcontext context, int ordinal);

void ResetContextsAfterFork();

}  // namespace hami::preload
