// SPDX-License-Identifier: Apache-2.0

#include "ctl/run_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

namespace hami::ctl {
namespace {

constexpr std::string_view kHelp =
    R"(usage: hami run [options] --gpumem SIZE [--gpucores PCT] -- CMD [ARG...]

Runs CMD with a slice of one GPU. CMD and everything it starts see and can use
that much memory and compute, and no more. The slice is free again when the
last of these processes is gone.

  --gpumem SIZE      memory: 10Gi, 10240Mi, 10G (10^9), 40% of the GPU's memory;
                     a number alone is MiB. Required.
  --gpucores PCT     compute: 1 to 100 percent of the GPU's time. 0, the
                     default, is no limit and takes nothing from others' shares.
  --gpu I|UUID       this GPU; else the one with most room
  --name NAME        name of the slice (letters, digits, . _ -)
  --policy P         when the compute limit holds: default (while a monitor does
                     not lift it), force (always), disable (never), burst (while
                     somebody else uses the GPU; idle time is used)
  --sim[=NAME]       on simulated GPUs (see `hami sim --help`): the named or the
                     only simulation; one is made if there is none
  --on-escape A      when a process holds more than its slice, or uses the GPU
                     without the library (a static program, musl's loader):
                     report it (the default) or kill it. It is seen within a
                     second, by the driver's own figures.
  --json FILE        at the end, write a record of the run to FILE (-: standard
                     output)
  -q, --quiet        say nothing but warnings and errors
  -h, --help

The run ends when CMD ends. Processes that CMD leaves behind get SIGTERM, and
SIGKILL five seconds later. Signals to hami are passed on to CMD. When hami
itself is killed, everything below it is ended.

The limits lie in a mount namespace of CMD's own: `env -i`, shells and children
stay inside them. Where this system forbids that, hami sets LD_PRELOAD instead,
says so, and a program can undo it.

examples:
  hami run --gpumem 10Gi --gpucores 50 -- python train.py
  hami run --gpumem 40% --gpu 1 --name web -- ./server --port 8000
  hami run --sim --gpumem 8Gi -- nvidia-smi       no GPU needed
  hami run --gpumem 4Gi --json record.json -- sh -c 'make && ./bench'

exit codes:
  CMD's own; 128 + N if signal N ended it
  1  hami failed     2  wrong usage or limits     3  no driver     4  no room
  126  CMD cannot be executed     127  CMD not found
)";

constexpr size_t kMaxNameLength = 63;

Result<int> ParseCores(std::string_view text) {
  std::string_view digits = text;
  if (digits.ends_with('%')) digits.remove_suffix(1);
  int pct = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pct);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--gpucores \"{}\": a whole number of percent, 0 to 100", text));
  }
  if (pct < 0 || pct > 100) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--gpucores {}: a GPU has 0 to 100 percent to give", text));
  }
  return pct;
}

// A name is a folder's name, on the host and in the tenant.
Status CheckName(const std::string& name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (name.empty() || name.size() > kMaxNameLength || name[0] == '.' || name[0] == '-' ||
      !std::ranges::all_of(name, is_plain)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--name \"{}\": up to {} letters, digits, '.', '_' or '-', beginning "
                            "with a letter or digit",
                            name, kMaxNameLength));
  }
  return {};
}

struct RawOptions {
  std::string memory;
  std::string cores = "0";
  std::string simulation;
  std::string on_escape = "report";
  CLI::Option* memory_option = nullptr;
  CLI::Option* name_option = nullptr;
  CLI::Option* simulation_option = nullptr;
};

void Declare(CLI::App* app, RawOptions* raw, RunOptions* options) {
  app->set_help_flag();
  app->add_flag("-h,--help", options->help);
  app->add_flag("-q,--quiet", options->quiet);
  raw->memory_option = app->add_option("--gpumem", raw->memory);
  app->add_option("--gpucores", raw->cores);
  app->add_option("--gpu", options->wish.gpu);
  raw->name_option = app->add_option("--name", options->name);
  app->add_option("--policy", options->policy);
  raw->simulation_option = app->add_flag("--sim{}", raw->simulation);
  app->add_option("--on-escape", raw->on_escape);
  app->add_option("--json", options->json_path);
}

Status Check(const RawOptions& raw, RunOptions* options) {
  if (raw.memory_option->count() == 0) {
    return Fail(Code::kInvalidArgument, "how much memory? Give --gpumem, for example 10Gi or 40%");
  }
  Result<base::MemoryAmount> memory = base::ParseMemoryAmount(raw.memory);
  if (!memory) return Fail(std::move(memory).error().Wrap("--gpumem"));
  options->wish.memory = *memory;
  ASSIGN_OR_RETURN(options->wish.cores_pct, ParseCores(raw.cores));
  if (raw.name_option->count() > 0) RETURN_IF_ERROR(CheckName(options->name));
  const std::string& policy = options->policy;
  if (policy != "default" && policy != "force" && policy != "disable" && policy != "burst") {
    return Fail(Code::kInvalidArgument,
                fmt::format("--policy \"{}\": default, force, disable or burst", policy));
  }
  options->simulation.wanted = raw.simulation_option->count() > 0;
  options->simulation.name = raw.simulation;
  if (raw.on_escape != "report" && raw.on_escape != "kill") {
    return Fail(Code::kInvalidArgument,
                fmt::format("--on-escape \"{}\": report or kill", raw.on_escape));
  }
  if (raw.on_escape == "kill") options->on_escape = share::OnEscape::kKill;
  if (options->command.empty()) {
    return Fail(Code::kInvalidArgument, "run what? Write -- and the command at the end");
  }
  return {};
}

}  // namespace

std::string_view RunHelp() { return kHelp; }

Result<RunOptions> ParseRunOptions(const std::vector<std::string>& arguments) {
  // What follows the first "--" is CMD's, whatever it looks like.
  const auto separator = std::ranges::find(arguments, "--");
  RunOptions options;
  if (separator != arguments.end()) options.command.assign(separator + 1, arguments.end());

  CLI::App app;
  RawOptions raw;
  try {
    Declare(&app, &raw, &options);
    // CLI11 takes them last one first.
    std::vector<std::string> ours(arguments.begin(), separator);
    std::ranges::reverse(ours);
    app.parse(std::move(ours));
  } catch (const CLI::Error& error) {
    return Fail(Code::kInvalidArgument, error.what());
  }
  if (options.help) return options;
  RETURN_IF_ERROR(Check(raw, &options));
  return options;
}

}  // namespace hami::ctl
