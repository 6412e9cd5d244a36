// SPDX-License-Identifier: Apache-2.0
//
// Paths in another file system's root: a driver's root that is mounted into our container has links
// that mean that root, not ours. The root is an administrator's, so this guards against mistakes,
// not against somebody who changes it at the same time (src/hook does). Safe from any thread.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::gpu {

// Where `path` leads if `root` is "/": absolute in that root, without links and "..". "/usr/lib" of
// ("/driver-root", "lib") where /driver-root/lib is a link to /usr/lib.
// kNotFound: nothing there. kFailedPrecondition: links without end.
Result<std::string> ResolveInRoot(const std::string& root, std::string_view path);

}  // namespace hami::gpu
