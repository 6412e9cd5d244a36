// SPDX-License-Identifier: Apache-2.0
//
// The one lock of the state: a futex word with the number of the owning process. Every process
// holds the lock on the byte of its number, which a forked child does not inherit. A waiter that
// has waited for a while asks the kernel whether somebody still holds the owner's byte; if not, it
// takes the lock over and repairs the state. (A robust pthread mutex identifies owners by thread
// ids, which mean nothing between PID namespaces, and has moved between glibc versions.)
//
// While an owner is judged dead nobody may begin to use its number again: both is done under the
// lock on one more byte (kTakeoverLockOffset).

#pragma once

#include <stdint.h>

#include "simgpu/state/layout.h"

namespace hami::simgpu {

struct Machine;

inline constexpr uint32_t kLockWaiters = 0x80000000;

void Lock(const Machine& machine);
void Unlock(const Machine& machine);

// The process' number as an owner: at the start for it, and by itself in a forked child. False: the
// memory for it cannot be mapped, or the file has no locks.
bool OpenOwner(Machine* machine);
void CloseOwner(Machine* machine);

// The state's file again, or -1 when another one is there now.
int ReopenState(const Machine& machine);

}  // namespace hami::simgpu
