// SPDX-License-Identifier: Apache-2.0
//
// Images whose programs are built with musl: its loader does not read /etc/ld.so.preload, so no
// limit holds in them. NVIDIA's driver libraries need glibc, so such an image has little use of a
// GPU, and refusing it would break containers that ask for one by mistake only: it starts, and a
// file says so to whoever watches on the node.

#pragma once

namespace hami::hook {

// True if the root has musl's loader and not glibc's.
bool IsMuslImage(int root);

// Makes `folder`/limits-inactive-<id>, with other characters than letters, digits, '.', '_' and '-'
// of the id as '_'. False and errno where it cannot be made: in a user namespace the folder must be
// writable for everybody (mode 1733).
bool LeaveInactiveMark(const char* folder, const char* id);

}  // namespace hami::hook
