// SPDX-License-Identifier: Apache-2.0

#include "simctl/arguments.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>

namespace hami::simctl {
namespace {

struct CommandInfo {
  std::string_view name;
  std::string_view usage;
  std::string_view summary;
  std::string_view options;  // letters: p --profile, f --file, g --gpus, F --force, n a NAME,
                             // x all of fault
  std::string_view details;

  bool Takes(char option) const { return options.find(option) != std::string_view::npos; }
};

constexpr std::array<CommandInfo, 8> kCommands = {{
    {"create", "create [--profile P | --file F.yaml] [--gpus N] [NAME]", "make simulated GPUs",
     "pfgn",
     "  --profile P   a built-in profile (default a10-550), see `hami sim profiles`\n"
     "  --file F      a profile of your own\n"
     "  --gpus N      so many GPUs of the profile's first kind, 1 to 64\n"
     "  NAME          of the simulation (default \"default\")\n"},
    {"list", "list", "show the simulations of this machine", "", ""},
    {"show", "show [NAME]", "show one, with what its GPUs hold now", "n", ""},
    {"env", "env [NAME]", "print what a shell needs to use one", "n",
     "  Use it as   eval \"$(hami sim env)\"\n"
     "  Without NAME the simulation \"default\" is made if it does not exist.\n"},
    {"reset", "reset [--force] [NAME]", "free its memory and forget its clients", "Fn",
     "  --force       also while processes use it; they keep the old state\n"},
    {"delete", "delete [--force] [NAME]", "remove one", "Fn",
     "  --force       also while processes use it\n"},
    {"fault", "fault [--gpu N] [FAULT...] [NAME]", "make its GPUs fail on request", "xn",
     "  --gpu N             which one (default: all)\n"
     "  --xid N             an XID error event\n"
     "  --ecc-corrected N   so many corrected ECC errors more, and their event\n"
     "  --ecc-uncorrected N  the same with uncorrected ones\n"
     "  --lost              off the bus: NVML says NVML_ERROR_GPU_IS_LOST, CUDA\n"
     "                      CUDA_ERROR_DEVICE_UNAVAILABLE; XID 79 is raised\n"
     "  --slow MS           every call that uses the GPU takes so much longer\n"
     "  --fail-allocations N  the next N requests for device memory fail\n"
     "  --driver-off        as without the driver: NVML does not initialise, CUDA finds no\n"
     "                      device, and who uses GPUs has lost them\n"
     "  --clear             end what lasts (all but counted errors and events)\n"
     "  Without a fault: shows what is on. Running programs meet a fault at their next call.\n"},
    {"profiles", "profiles", "list the built-in profiles", "", ""},
}};

const CommandInfo* FindCommand(std::string_view name) {
  for (const CommandInfo& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

tl::unexpected<Error> Wrong(std::string message) {
  return Fail(Code::kInvalidArgument, std::move(message));
}

Status SetOption(const CommandInfo& command, char option, std::string_view name,
                 const std::string& value, Arguments* out) {
  if (!command.Takes(option)) {
    return Wrong(fmt::format("`hami sim {}` has no {}", command.name, name));
  }
  if (value.empty()) return Wrong(fmt::format("{} needs a value", name));
  switch (option) {
    case 'p':
      out->profile = value;
      return {};
    case 'f':
      out->file = value;
      return {};
    default: {
      uint64_t number = 0;
      const char* end = value.data() + value.size();
      const auto [rest, error] = std::from_chars(value.data(), end, number);
      if (error != std::errc() || rest != end || number < 1 || number > 64) {
        return Wrong(fmt::format("{} takes a number from 1 to 64, not \"{}\"", name, value));
      }
      out->gpus = number;
      return {};
    }
  }
}

Result<uint64_t> ReadNumber(std::string_view name, const std::string& value, uint64_t most) {
  uint64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, number);
  if (value.empty() || error != std::errc() || rest != end || number > most) {
    return Wrong(fmt::format("{} takes a number from 0 to {}, not \"{}\"", name, most, value));
  }
  return number;
}

// The options of `fault` that take a number.
struct FaultOption {
  std::string_view name;
  uint64_t most;
  void (*set)(FaultWish&, uint64_t);
};
constexpr std::array<FaultOption, 6> kFaultOptions = {{
    {"--gpu", 63, [](FaultWish& wish, uint64_t number) { wish.gpu = number; }},
    {"--xid", 65535, [](FaultWish& wish, uint64_t number) { wish.xid = number; }},
    {"--ecc-corrected", 1000000000,
     [](FaultWish& wish, uint64_t number) { wish.ecc_corrected = number; }},
    {"--ecc-uncorrected", 1000000000,
     [](FaultWish& wish, uint64_t number) { wish.ecc_uncorrected = number; }},
    {"--slow", 60000, [](FaultWish& wish, uint64_t number) { wish.slow_ms = number; }},
    {"--fail-allocations", 1000000000,
     [](FaultWish& wish, uint64_t number) { wish.fail_requests = number; }},
}};

const FaultOption* FindFaultOption(std::string_view name) {
  for (const FaultOption& option : kFaultOptions) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

bool SetFaultFlag(std::string_view word, FaultWish* wish) {
  if (word == "--lost") return wish->lose = true;
  if (word == "--driver-off") return wish->driver_off = true;
  if (word == "--clear") return wish->clear = true;
  return false;
}

// One word behind the command; `next` gives the value of an option written as two words.
template <typename Next>
Status ParseWord(const CommandInfo& command, const std::string& word, Next next, Arguments* out) {
  const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
  const std::string name = word.substr(0, equals);
  char option = '\0';
  if (name == "--profile") option = 'p';
  if (name == "--file") option = 'f';
  if (name == "--gpus") option = 'g';
  if (option != '\0') {
    const std::string value = equals == std::string::npos ? next() : word.substr(equals + 1);
    return SetOption(command, option, name, value, out);
  }
  const FaultOption* fault = command.Takes('x') ? FindFaultOption(name) : nullptr;
  if (fault != nullptr) {
    const std::string value = equals == std::string::npos ? next() : word.substr(equals + 1);
    ASSIGN_OR_RETURN(const uint64_t number, ReadNumber(name, value, fault->most));
    fault->set(out->fault, number);
    return {};
  }
  if (command.Takes('x') && SetFaultFlag(word, &out->fault)) return {};
  if (word == "--json") {
    out->json = true;
  } else if (word == "--help" || word == "-h") {
    out->help = true;
  } else if (word == "--force" && command.Takes('F')) {
    out->force = true;
  } else if (word.starts_with('-')) {
    return Wrong(fmt::format("`hami sim {}` has no {}", command.name, word));
  } else if (!command.Takes('n') || out->name) {
    return Wrong(fmt::format("\"{}\": one word too many for `hami sim {}`", word, command.name));
  } else {
    out->name = word;
  }
  return {};
}

}  // namespace

Result<Arguments> ParseArguments(int argc, const char* const* argv) {
  Arguments out;
  int at = 1;
  if (at >= argc) {
    return Wrong("a command is missing: create, list, show, env, reset, delete, fault or profiles");
  }
  const std::string first = argv[at++];
  if (first == "--help" || first == "-h" || first == "help") {
    out.help = true;
    return out;
  }
  const CommandInfo* command = FindCommand(first);
  if (command == nullptr) {
    return Wrong(
        fmt::format("\"{}\" is not a command of `hami sim`: create, list, show, env, reset, "
                    "delete, fault or profiles",
                    first));
  }
  out.command = first;
  while (at < argc) {
    const std::string word = argv[at++];
    const auto next = [&] { return at < argc ? std::string(argv[at++]) : std::string(); };
    RETURN_IF_ERROR(ParseWord(*command, word, next, &out));
  }
  if (out.profile && out.file) return Wrong("--profile and --file exclude each other");
  return out;
}

std::string HelpText(const std::string& command_name) {
  if (const CommandInfo* command = FindCommand(command_name)) {
    return fmt::format(
        "Usage: hami sim {}\n\nWhat it does: {}.\n\n{}  --json        output as JSON\n"
        "  --help        this text\n",
        command->usage, command->summary, command->details);
  }
  if (!command_name.empty()) return "";
  std::string text =
      "Usage: hami sim COMMAND [OPTION...]\n\nSimulated GPUs, for trying HAMi and for tests "
      "without "
      "a GPU.\n\n";
  for (const CommandInfo& command : kCommands) {
    // A long form has a line of its own.
    constexpr size_t kWidth = 24;
    const char* break_line = command.usage.size() > kWidth ? "\n" : "";
    text += fmt::format("  {:{}}{}{:{}} {}\n", command.usage, kWidth, break_line, "",
                        *break_line != 0 ? kWidth + 2 : 0, command.summary);
  }
  return text +
         "\nAll take --json and --help. Exit codes: 0 done, 2 wrong usage, 1 anything else.\n"
         "They live in $HAMI_STATE_DIR/sim, else /run/hami/sim (root), else\n"
         "$XDG_RUNTIME_DIR/hami/sim, else /tmp/hami-<uid>/sim.\n";
}

}  // namespace hami::simctl
