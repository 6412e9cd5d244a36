// SPDX-License-Identifier: Apache-2.0
//
// Names of programs, folders and regions may hold anything, also what moves a terminal's cursor or
// sets its title. Pure.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hami::top {

// Printable ASCII, everything else as '?'; at most `most` characters, the last three "..." if there
// were more.
std::string PlainText(std::string_view text, size_t most);

}  // namespace hami::top
