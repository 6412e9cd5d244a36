// SPDX-License-Identifier: Apache-2.0
//
// Search order of symbols, as far as dlsym(RTLD_DEFAULT) and dlsym(RTLD_NEXT) show it.
//
// glibc searches, for the program and everything that came with it, one list: the program, the
// preloaded objects, then what they need, breadth first; for a library opened later, the list of
// that library and what it needs. RTLD_NEXT goes on behind the caller in the caller's list. Those
// lists are not public, so they are made again from the objects' DT_NEEDED names. Our own library
// is left out: the answer is what the application would get without it. (Libraries that were
// promoted with RTLD_GLOBAL are not in any list here; resolve.cc asks libc about the driver's.)
//
// For the few names that are intercepted only; maps some scratch memory for the time of the call.

#pragma once

#include "preload/objects.h"

namespace hami::preload {

// The object that defines `name` first behind the caller's own object in the caller's list. Not
// loaded() if there is none.
Object FindNextDefinition(const void* caller, const char* name);

// The object that defines `name` first in the program's list; in the caller's own list.
Object FindProgramDefinition(const char* name);
Object FindCallerDefinition(const void* caller, const char* name);

// Whether the caller's object came with the program.
bool IsInProgramList(const void* caller);

}  // namespace hami::preload
