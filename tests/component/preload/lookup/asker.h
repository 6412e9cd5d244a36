// SPDX-License-Identifier: Apache-2.0
//
// One object of the look-up matrix: asks dlsym in each way from where it lies. Compiled into the
// program and into several shared libraries, because libc's answer depends on who asks.

#pragma once

extern "C" {

// Looks `name` up: "default", "next", "handle:<soname>" (opened RTLD_LAZY), "dlvsym:<soname>".
// Returns the address, or nullptr.
typedef void* AskFunction(const char* how, const char* name);
}
