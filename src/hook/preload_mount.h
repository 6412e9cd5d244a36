// SPDX-License-Identifier: Apache-2.0
//
// Puts a file over /etc/ld.so.preload of a container that is being created: the library's line,
// then the image's own text. The file lies on a tmpfs that has no other name and is mounted
// read-only, so nobody in the container can write, remove or replace it without CAP_SYS_ADMIN.
//
// The image is hostile input. No link of it is followed but to look whether a file exists;
// what is no plain file or is too large is a failure, and the container does not start.
// In the container's mount namespace, before its root is entered (OCI hook createContainer).

#pragma once

#include "hook/failure.h"

namespace hami::hook {

// `root`: the container's root file system; `library`: absolute, in the container. A failure leaves
// no mount behind, at most an empty /etc/ld.so.preload in the root.
bool MountPreloadFile(int root, const char* library, Failure* failure);

}  // namespace hami::hook
