// SPDX-License-Identifier: Apache-2.0

#include "ctl/hami.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/version.h"
#include "ctl/notice.h"
#include "ctl/run.h"
#include "simctl/sim.h"
#include "smi/smi.h"

namespace hami::ctl {
namespace {

constexpr int kUsage = 2;

constexpr char kHelp[] =
    R"(usage: hami COMMAND [options]

Shares GPUs: each program gets its own slice of a GPU's memory and compute, and
the limits hold.

  run       run a command with a slice of a GPU
  smi       show GPUs and slices (also when called as nvidia-smi)
  sim       make and list simulated GPUs, for machines without one
  version   print version, commit and build

`hami COMMAND --help` tells more.

examples:
  hami run --gpumem 10Gi --gpucores 50 -- python train.py
  hami run --sim --gpumem 8Gi -- nvidia-smi        no GPU needed
  hami smi
  eval "$(hami sim env)"                           simulated GPUs in this shell

environment:
  HAMI_STATE_DIR   where slices and simulations are kept; default /run/hami for
                   root, else $XDG_RUNTIME_DIR/hami or /tmp/hami-UID
  HAMI_LOG_LEVEL   debug, info, warn (default), error, off
)";

int PrintVersion() {
  std::puts(base::VersionLine("hami").c_str());
  return 0;
}

// For a command of a person the default is to say nothing but what is wrong.
Status StartCommandLog() {
  base::LogOptions options = {.level = base::LogLevel::kWarn};
  const char* const level = std::getenv("HAMI_LOG_LEVEL");
  if (level != nullptr && *level != '\0') {
    ASSIGN_OR_RETURN(options.level, base::ParseLogLevel(level));
  }
  base::StartLog(options);
  LOG_INFO("start", Field("version", base::VersionLine("hami")));
  return {};
}

}  // namespace

int HamiMain(int argc, char** argv) {
  const std::string_view called = argc > 0 ? argv[0] : "hami";
  if (called.substr(called.rfind('/') + 1) == "nvidia-smi") return smi::SmiMain(argc, argv);
  const Status log = StartCommandLog();
  if (!log) {
    Notice("HAMI_LOG_LEVEL: " + log.error().message);
    return kUsage;
  }
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "run") return RunMain(std::vector<std::string>(argv + 2, argv + argc));
  if (command == "smi") return smi::SmiMain(argc - 1, argv + 1);
  if (command == "sim") return simctl::SimMain(argc - 1, argv + 1);
  if (command == "version" || command == "--version") return PrintVersion();
  if (command == "help" || command == "--help" || command == "-h") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (command.empty()) {
    std::fputs(kHelp, stderr);
  } else {
    Notice(fmt::format("there is no command \"{}\". See hami --help.", command));
  }
  return kUsage;
}

}  // namespace hami::ctl
