// SPDX-License-Identifier: Apache-2.0
//
// Which build this is. Every program logs VersionLine at its start and prints it for --version.

#pragma once

#include <string>
#include <string_view>

namespace hami::base {

std::string_view Version();  // "0.1.0"
std::string_view Commit();   // "1a2b3c4d5e6f", with "-dirty" if the tree had changes
std::string_view Build();    // compiler, its version, build type

// "hami 0.1.0 1a2b3c4d5e6f GNU 12.2.0 RelWithDebInfo"
std::string VersionLine(std::string_view program);

}  // namespace hami::base
