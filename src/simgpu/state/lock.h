// SPDX-License-Identifier: Apache-2.0
//
// The one lock of the state: a futex word with the owner's client slot. A waiter that has waited for
// a while asks the kernel whether the owner still holds its slot; if not, it takes the lock over and
// repairs the state. (A robust pthread mutex identifies owners by thread ids, which mean nothing
// between PID namespaces, and has moved between glibc versions.)

#pragma once

#include <stdint.h>

#include "simgpu/state/layout.h"

namespace hami::simgpu {

struct Machine;

inline constexpr uint32_t kLockWaiters = 0x80000000;

void Lock(const Machine& machine);
void Unlock(const Machine& machine);

// For the new holder of a dead owner's slot: the word is replaced if it is still `word`.
void ForceUnlock(State& state, uint32_t word);

// Nobody holds this client's slot. Opens the file.
bool IsClientDead(const Machine& machine, uint32_t slot);

}  // namespace hami::simgpu
