// SPDX-License-Identifier: Apache-2.0
//
// Puts right in a region what only a crash in a wrong place or a stranger's write can have broken.
// Not for tenants' programs: it touches every slot, and what is wrong there may end it.

#pragma once

#include "region/mapping.h"

namespace hami::region {

// Frees the slots of dead processes, clears what is counted for free slots, makes all slots in use
// visible, and sums the charges up again. Processes may go on meanwhile. False: the file cannot be
// opened again, the disk has no room for it, or somebody writes over it all the time.
bool Mend(const Mapping& mapping);

}  // namespace hami::region
