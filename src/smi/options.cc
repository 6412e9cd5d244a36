// SPDX-License-Identifier: Apache-2.0

#include "smi/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string_view>

namespace hami::smi {
namespace {

// Walks over "--name=value", "--name value" and "-n value".
class Arguments {
 public:
  Arguments(int argc, char** argv) : argc_(argc), argv_(argv) {}

  bool Next() {
    if (++at_ >= argc_) return false;
    name_ = argv_[at_];
    value_ = nullptr;
    const size_t equals = name_.starts_with("--") ? name_.find('=') : std::string_view::npos;
    if (equals != std::string_view::npos) {
      value_ = argv_[at_] + equals + 1;
      name_ = std::string_view(argv_[at_], equals);
    }
    return true;
  }
  bool Is(std::string_view short_name, std::string_view long_name) const {
    return name_ == long_name || (!short_name.empty() && name_ == short_name);
  }
  // The value of a switch that needs one, or nullptr.
  const char* Value() {
    if (value_ == nullptr && at_ + 1 < argc_) value_ = argv_[++at_];
    return value_;
  }
  bool HasInlineValue() const { return value_ != nullptr; }
  const char* raw() const { return argv_[at_]; }

 private:
  int argc_;
  char** argv_;
  int at_ = 0;
  std::string_view name_;
  const char* value_ = nullptr;
};

bool Fail(const Options& options, const char* what, const char* subject) {
  fprintf(stderr, "%s: %s%s%s. Run '%s --help'.\n", options.program, what,
          *subject != '\0' ? " " : "", subject, options.program);
  return false;
}

bool ParseFormat(const char* text, Options* out) {
  while (true) {
    const size_t length = strcspn(text, ",");
    const std::string_view word(text, length);
    if (word == "csv") {
      out->csv = true;
    } else if (word == "noheader") {
      out->header = false;
    } else if (word == "nounits") {
      out->units = false;
    } else {
      return Fail(*out, "--format takes csv, noheader and nounits, not", text);
    }
    if (text[length] == '\0') return true;
    text += length + 1;
  }
}

bool SetMode(Mode mode, Options* out) {
  if (out->mode != Mode::kTable && out->mode != mode) {
    return Fail(*out, "these switches exclude each other", "");
  }
  out->mode = mode;
  return true;
}

bool ParseLoop(const char* text, Options* out) {
  char* end = nullptr;
  const long seconds = strtol(text, &end, 10);
  if (end == text || *end != '\0' || seconds < 1 || seconds > 86400) {
    return Fail(*out, "--loop takes seconds from 1 to 86400, not", text);
  }
  out->loop_s = static_cast<uint32_t>(seconds);
  return true;
}

// A switch with a value. `*known` becomes false when it is none of these.
bool ParseValued(Arguments* arguments, Options* out, bool* known) {
  const bool query_gpu = arguments->Is("", "--query-gpu");
  const bool query_apps = arguments->Is("", "--query-compute-apps");
  const bool format = arguments->Is("", "--format");
  const bool id = arguments->Is("-i", "--id");
  const bool loop = arguments->Is("-l", "--loop");
  *known = query_gpu || query_apps || format || id || loop;
  if (!*known) return true;
  const char* name = arguments->raw();
  const char* value = arguments->Value();
  if (value == nullptr || *value == '\0') return Fail(*out, "a value is missing behind", name);
  if (format) return ParseFormat(value, out);
  if (loop) return ParseLoop(value, out);
  if (id) {
    out->ids = value;
    return true;
  }
  out->fields = value;
  return SetMode(query_gpu ? Mode::kQueryGpu : Mode::kQueryComputeApps, out);
}

bool ParseFlag(const Arguments& arguments, Options* out) {
  struct Flag {
    std::string_view short_name;
    std::string_view long_name;
    Mode mode;
  };
  static constexpr Flag kFlags[] = {
      {"-h", "--help", Mode::kHelp},
      {"-L", "--list-gpus", Mode::kList},
      {"", "--json", Mode::kJson},
      {"", "--version", Mode::kVersion},
      {"", "--help-query-gpu", Mode::kHelpQueryGpu},
      {"", "--help-query-compute-apps", Mode::kHelpQueryComputeApps},
  };
  for (const Flag& flag : kFlags) {
    if (arguments.Is(flag.short_name, flag.long_name) && !arguments.HasInlineValue()) {
      return SetMode(flag.mode, out);
    }
  }
  return Fail(*out, "unknown switch", arguments.raw());
}

}  // namespace

bool ParseOptions(int argc, char** argv, Options* out) {
  const char* path = argc > 0 ? argv[0] : "smi";
  const char* slash = strrchr(path, '/');
  const char* name = slash != nullptr ? slash + 1 : path;
  out->as_nvidia_smi = strcmp(name, "nvidia-smi") == 0;
  out->program = out->as_nvidia_smi ? "nvidia-smi" : "hami smi";
  Arguments arguments(argc, argv);
  while (arguments.Next()) {
    bool known = false;
    if (!ParseValued(&arguments, out, &known)) return false;
    if (!known && !ParseFlag(arguments, out)) return false;
  }
  const bool query = out->mode == Mode::kQueryGpu || out->mode == Mode::kQueryComputeApps;
  if (query && !out->csv) return Fail(*out, "a query needs --format=csv", "");
  if (!query && (out->csv || !out->header || !out->units)) {
    return Fail(*out, "--format goes with --query-gpu or --query-compute-apps", "");
  }
  return true;
}

void PrintHelp(const Options& options) {
  printf(
      "Usage: %s [SWITCH...]\n"
      "\n"
      "Shows the GPUs that this process may use, as a slice where it has a slice.\n"
      "\n"
      "  (no switch)                  table of GPUs and processes\n"
      "  -L, --list-gpus              one line per GPU with its UUID\n"
      "  --query-gpu=FIELDS           values of each GPU; see --help-query-gpu\n"
      "  --query-compute-apps=FIELDS  values of each process; see --help-query-compute-apps\n"
      "  --format=csv[,noheader][,nounits]   form of a query\n"
      "  --json                       everything as JSON\n"
      "  -i, --id=ID[,ID...]          only these GPUs: index, UUID or PCI address\n"
      "  -l, --loop=SECONDS           again and again\n"
      "  --version                    version of this program\n"
      "  -h, --help                   this text\n"
      "\n"
      "Exit codes: 0 done; 2 wrong usage; 6 no such GPU; 9 no driver; others: NVML's\n"
      "result.\n",
      options.program);
}

}  // namespace hami::smi
