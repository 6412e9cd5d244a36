// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hami sim`.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace hami::simctl {

// What `hami sim fault` is to do. Nothing: show what is on.
struct FaultWish {
  std::optional<uint64_t> gpu;  // all, if missing
  std::optional<uint64_t> xid;
  uint64_t ecc_corrected = 0;
  uint64_t ecc_uncorrected = 0;
  bool lose = false;
  std::optional<uint64_t> slow_ms;
  std::optional<uint64_t> fail_requests;
  bool driver_off = false;
  bool clear = false;
  bool operator==(const FaultWish&) const = default;
};

struct Arguments {
  std::string command;
  std::optional<std::string> name;
  std::optional<std::string> profile;
  std::optional<std::string> file;
  std::optional<uint64_t> gpus;
  bool json = false;
  bool force = false;
  bool help = false;
  FaultWish fault;
};

// argv[0] is not looked at. The error is a sentence about the wrong word.
Result<Arguments> ParseArguments(int argc, const char* const* argv);

// What `hami sim --help` prints, or one command's help; "" for a command that does not exist.
std::string HelpText(const std::string& command);

}  // namespace hami::simctl
