// SPDX-License-Identifier: Apache-2.0
//
// Physical pages of plain allocations. The driver takes device memory in pages (2 MiB) and places
// small allocations side by side in one page, so the sum of what was asked for is not what is
// taken. The returned address tells which pages an allocation touches: pages that it fills are its
// own, and a page that it fills only in part is shared and counted by references. A page is charged
// when its first allocation comes and refunded when its last one goes, so the charge is the
// driver's own sum. (Observed behaviour of the driver; the conformance suite holds it on a GPU and
// on the simulation.)

#pragma once

#include <cstdint>

#include "preload/devices.h"

namespace hami::preload {

// How many pages an allocation of `bytes` can need at most beyond those that exist: what is
// reserved before the driver is called.
uint64_t PagesToReserve(const Device& device, uint64_t bytes);

// Counts the pages of a new allocation. Returns how many of them are new, or -1 if the table has no
// memory (nothing is counted then).
int64_t AddPages(const Device& device, int ordinal, uint64_t address, uint64_t bytes);

// Counts the pages of a freed allocation down. Returns how many are gone.
int64_t DropPages(const Device& device, uint64_t address, uint64_t bytes);

void ResetPagesAfterFork();

}  // namespace hami::preload
