// SPDX-License-Identifier: Apache-2.0
//
// A command line as CLI11 parses it: the last argument first, and an empty value ("--name=") as an
// argument of its own, because CLI11 would take the next one for it.

#pragma once

#include <string>
#include <vector>

namespace hami::base {

// Without the program's name.
std::vector<std::string> Arguments(int argc, char** argv);

std::vector<std::string> ReverseArguments(const std::vector<std::string>& arguments);

}  // namespace hami::base
