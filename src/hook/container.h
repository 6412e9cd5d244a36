// SPDX-License-Identifier: Apache-2.0
//
// The container that a runtime is creating, as an OCI hook learns of it: its state as JSON on
// standard input (runtime-spec, runtime.md "State"), and by that the bundle's config.json, which
// names the root file system. Both are written by the runtime and trusted; what lies in the root
// file system is not.

#pragma once

#include <limits.h>

#include "hook/failure.h"
#include "hook/os.h"

namespace hami::hook {

struct Container {
  char id[256] = {};
  char root_path[PATH_MAX] = {};  // on the node
  OwnedFd root;                   // O_PATH, a folder
};

// `state_fd`: standard input of the hook.
bool ReadContainer(int state_fd, Container* container, Failure* failure);

// Refuses to go on where mounts would not stay in the container: in the mount namespace of the
// node's first process, or with the node's own root as the container's.
bool CheckMountNamespace(const Container& container, Failure* failure);

}  // namespace hami::hook
