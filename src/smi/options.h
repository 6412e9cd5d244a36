// SPDX-License-Identifier: Apache-2.0
//
// The command line of hami smi: the switches of nvidia-smi that scripts use, and --json.

#pragma once

#include <stdint.h>

namespace hami::smi {

enum class Mode {
  kTable,
  kList,
  kQueryGpu,
  kQueryComputeApps,
  kJson,
  kHelp,
  kHelpQueryGpu,
  kHelpQueryComputeApps,
  kVersion,
};

struct Options {
  Mode mode = Mode::kTable;
  bool as_nvidia_smi = false;    // called by that name: no columns of ours
  const char* program = "";      // for messages
  const char* fields = nullptr;  // "index,uuid"
  const char* ids = nullptr;     // "0,GPU-...", nullptr: all
  bool csv = false;
  bool header = true;
  bool units = true;
  uint32_t loop_s = 0;  // 0: once
};

// Prints what is wrong to stderr and returns false.
[[nodiscard]] bool ParseOptions(int argc, char** argv, Options* out);

void PrintHelp(const Options& options);

}  // namespace hami::smi
