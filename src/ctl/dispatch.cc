// SPDX-License-Identifier: Apache-2.0

#include "ctl/dispatch.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "api/share/agent.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "ctl/companion.h"
#include "ctl/notice.h"
#include "ctl/run.h"
#include "ctl/state_folder.h"
#include "ctl/top_sources.h"
#include "regionctl/region.h"
#include "simctl/sim.h"
#include "smi/smi.h"
#include "top/top.h"

namespace hami::ctl {
namespace {

constexpr char kHelp[] =
    R"(usage: hami COMMAND [ARG...]

Shares a GPU between programs: each sees and can use exactly its slice of
memory and compute.

  run        start a program with a slice of a GPU
  smi        show GPUs, slices and how their limits are enforced
  top        watch devices, slices and processes: memory, compute, throttling
  region     show, check and repair what a share's programs have counted
  explain    why does my claim or pod on Kubernetes wait
  sim        make and manage simulated GPUs
  simulate   where would pods go, on which nodes, by which policy
  version    print the version

Each command explains itself: hami COMMAND --help

Where slices and simulations are kept: $HAMI_STATE_DIR, else /run/hami for root,
else $XDG_RUNTIME_DIR/hami or /tmp/hami-UID.

examples:
  hami run --gpumem 10Gi --gpucores 50 -- python train.py
  hami smi
  hami run --sim --gpumem 8Gi -- nvidia-smi       no GPU needed

Without a GPU, `hami sim create` makes a simulated one; what runs on it is
labelled as simulated.
)";

int PrintVersion() {
  std::printf("%s\n", base::VersionLine("hami").c_str());
  return 0;
}

// A command of a person says nothing but what is wrong, unless asked.
bool StartCommandLog() {
  base::LogOptions options = {.level = base::LogLevel::kWarn};
  const char* const level = std::getenv("HAMI_LOG_LEVEL");
  if (level != nullptr && *level != '\0') {
    const Result<base::LogLevel> parsed = base::ParseLogLevel(level);
    if (!parsed) {
      Notice("HAMI_LOG_LEVEL: " + parsed.error().message);
      return false;
    }
    options.level = *parsed;
  }
  base::StartLog(options);
  LOG_INFO("start", Field("version", base::VersionLine("hami")));
  return true;
}

std::string StatePath() {
  return ChooseStateFolder({.hami_state_dir = std::getenv("HAMI_STATE_DIR"),
                            .xdg_runtime_dir = std::getenv("XDG_RUNTIME_DIR"),
                            .uid = getuid()});
}

// Of local runs, of prepared claims, and in a container its own.
std::vector<std::string> ShareRoots() {
  return {base::JoinPath(StatePath(), "shares"), api::kClaimsRoot, api::kSharesRoot};
}

}  // namespace

int HamiMain(int argc, char** argv) {
  const char* const name = argc > 0 ? argv[0] : "hami";
  const char* const slash = std::strrchr(name, '/');
  const std::string_view self = slash == nullptr ? name : slash + 1;
  if (self == "nvidia-smi") return smi::SmiMain(argc, argv);
  if (argc < 2) {
    std::fputs(kHelp, stderr);
    return 2;
  }
  const std::string_view command = argv[1];
  if (command == "-h" || command == "--help" || command == "help") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (command == "version" || command == "--version") return PrintVersion();
  if (!StartCommandLog()) return 2;
  if (command == "run") return RunMain(std::vector<std::string>(argv + 2, argv + argc));
  if (command == "smi") return smi::SmiMain(argc - 1, argv + 1);
  if (command == "top") {
    return top::TopMain(std::vector<std::string>(argv + 2, argv + argc), TopSources(StatePath()));
  }
  if (command == "region") return regionctl::RegionMain(argc - 1, argv + 1, ShareRoots());
  if (command == "explain") return BecomeCompanion("hami-explain", argv + 1);
  if (command == "simulate") return BecomeCompanion("hami-simulate", argv + 1);
  if (command == "sim") return simctl::SimMain(argc - 1, argv + 1);
  Notice("there is no command \"" + std::string(command) + "\". See hami --help.");
  return 2;
}

}  // namespace hami::ctl
