// SPDX-License-Identifier: Apache-2.0
//
// hami-cdi-hook: what a container runtime runs while it creates a container that uses shares. It
// runs with the node's privileges and the container's mounts, so it is linked statically, looks at
// no environment variable and runs no other program: runc gives a hook without an environment of
// its own the container's, and starts it in the container's root (a loader would take LD_PRELOAD
// from the image there).

#pragma once

namespace hami::hook {

// Reads the container's state from standard input. 0; 1: the container must not start, one line on
// standard error says why; 2: wrong arguments.
int HookMain(int argc, char** argv);

}  // namespace hami::hook
