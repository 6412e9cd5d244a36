// SPDX-License-Identifier: Apache-2.0
//
// Makes the state file of a simulated machine.

#pragma once

#include "simgpu/state/config.h"

namespace hami::simgpu {

// A new file at `path`, which must not exist, with mode 0666: every user's processes share the
// machine. 0, or an errno value; then there is no file.
int CreateState(const char* path, const MachineConfig& config);

}  // namespace hami::simgpu
