// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hami sim`.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace hami::simctl {

struct Arguments {
  std::string command;
  std::optional<std::string> name;
  std::optional<std::string> profile;
  std::optional<std::string> file;
  std::optional<uint64_t> gpus;
  bool json = false;
  bool force = false;
  bool help = false;
};

// argv[0] is not looked at. The error is a sentence about the wrong word.
Result<Arguments> ParseArguments(int argc, const char* const* argv);

// What `hami sim --help` prints, or one command's help; "" for a command that does not exist.
std::string HelpText(const std::string& command);

}  // namespace hami::simctl
