// SPDX-License-Identifier: Apache-2.0
//
// Clients of the machine by the PIDs of whoever looks. The real driver knows processes as the
// kernel does and shows them in the PID namespace of the caller; here each client wrote down its
// own number and namespace, and the caller's /proc says what that process is called there.

#pragma once

#include "simgpu/state/layout.h"

namespace hami::simgpu {

// What the process of `client` is called where the caller is; its own word where the caller's /proc
// does not show it. With the machine's lock held.
int VisiblePid(const Client& client);

}  // namespace hami::simgpu
