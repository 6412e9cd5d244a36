// SPDX-License-Identifier: Apache-2.0
//
// Scripts asked about limits, for the tests of where limits come from. One thread.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/component/harness.h"

namespace hami::component {

inline constexpr uint64_t kGiB = uint64_t{1} << 30;
// What CUDA shows of a card of profile a10-550 without a limit.
inline constexpr uint64_t kUsableBytes = (uint64_t{23028} - 297) << 20;

using Environment = std::map<std::string, std::string>;

// The script that is initialised, under the command's environment and this.
Running StartScript(Command command, const Environment& environment);

// Asks the current device of the script, whose primary context does not exist yet: its total, and
// that so much and no more can be had beside a context. What is wrong; "" if nothing is.
std::string FindWrongLimit(Running& script, uint64_t limit_bytes, uint64_t context_bytes);

std::string AllocLine(uint64_t bytes);

// Everything that a script says until it has done these lines; standard output and error.
std::vector<std::string> Transcript(Command command, const std::vector<std::string>& lines);

}  // namespace hami::component
