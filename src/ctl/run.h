// SPDX-License-Identifier: Apache-2.0
//
// `hami run`: books a slice, runs CMD inside it, and is the agent of the share while it lives.
// Public face of the folder with dispatch.h.

#pragma once

#include <string>
#include <vector>

namespace hami::ctl {

// `arguments`: what follows `hami run`. Returns the exit code (RunHelp lists them).
int RunMain(const std::vector<std::string>& arguments);

}  // namespace hami::ctl
