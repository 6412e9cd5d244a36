// SPDX-License-Identifier: Apache-2.0
//
// `hami run`: books a slice, starts CMD in it, stays until CMD's tree is gone, gives the slice back.

#pragma once

#include <string>
#include <vector>

namespace hami::ctl {

// `arguments`: what follows `hami run`. Returns the exit code (RunHelp lists them). The process must
// have one thread.
int RunMain(const std::vector<std::string>& arguments);

}  // namespace hami::ctl
