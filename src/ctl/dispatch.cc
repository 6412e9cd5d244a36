// SPDX-License-Identifier: Apache-2.0

#include "ctl/dispatch.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/version.h"
#include "ctl/run.h"
#include "simctl/sim.h"
#include "smi/smi.h"

namespace hami::ctl {
namespace {

constexpr char kHelp[] =
    R"(usage: hami COMMAND [ARG...]

Shares a GPU between programs: each sees and can use exactly its slice of
memory and compute.

  run        start a program with a slice of a GPU
  smi        show GPUs, slices and how their limits are enforced
  sim        make and manage simulated GPUs
  version    print the version

Each command explains itself: hami COMMAND --help

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

}  // namespace

int HamiMain(int argc, char** argv) {
  const char* slash = std::strrchr(argv[0], '/');
  const std::string_view self = slash == nullptr ? argv[0] : slash + 1;
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
  LOG_DEBUG("started", base::Field("version", base::VersionLine("hami")));
  if (command == "run") return RunMain(std::vector<std::string>(argv + 2, argv + argc));
  if (command == "smi") return smi::SmiMain(argc - 1, argv + 1);
  if (command == "sim") return simctl::SimMain(argc - 1, argv + 1);
  std::fprintf(stderr, "hami: there is no command \"%s\"; see `hami --help`\n", argv[1]);
  return 2;
}

}  // namespace hami::ctl
