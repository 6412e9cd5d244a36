// SPDX-License-Identifier: Apache-2.0
//
// Stream-ordered memory. Single allocations are cut from pools that the driver grows and shrinks
// when it likes; what counts against the slice is what a pool has reserved. So a pool is charged,
// by the driver's own figure (CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), read after every call that may
// have changed it and before any refusal.

#pragma once

#include "preload/devices.h"

namespace hami::preload {

// Reads the reserved memory of every pool on the device and refunds what was given back. True if
// that was something.
bool ReconcilePools(Device& device);

// The same for all devices; at once if no pool was ever used.
void ReconcilePoolsAfterFree();

void ResetPoolsAfterFork();

}  // namespace hami::preload
