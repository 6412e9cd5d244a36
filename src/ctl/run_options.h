// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hami run`. Whatever is wrong with it is kInvalidArgument (exit code 2) and
// found before anything is started.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ctl/driver_choice.h"
#include "ctl/room.h"
#include "share/share_agent.h"

namespace hami::ctl {

struct RunOptions {
  bool help = false;
  Wish wish;
  std::string name;  // empty: made of the command and our PID
  std::string policy = "default";
  SimulationWish simulation;
  share::OnEscape on_escape = share::OnEscape::kReport;
  std::string json_path;  // "-": standard output; empty: no record
  bool quiet = false;
  std::vector<std::string> command;
};

// `arguments`: what follows `hami run`.
Result<RunOptions> ParseRunOptions(const std::vector<std::string>& arguments);

std::string_view RunHelp();

}  // namespace hami::ctl
