// SPDX-License-Identifier: Apache-2.0
//
// `hami top`: devices, slices and processes of this machine, at a terminal or once.

#pragma once

#include <string>
#include <vector>

#include "top/sources.h"

namespace hami::top {

// `arguments` without the command's name. Exit codes: 0; 1 a path that was asked for cannot be
// read, or the terminal; 2 wrong usage.
int TopMain(const std::vector<std::string>& arguments, Sources sources);

}  // namespace hami::top
