// SPDX-License-Identifier: Apache-2.0
//
// Runs another program to its end and keeps what it says. Bounded in time and output; the program
// is killed when either runs out. It gets nothing on standard input, no descriptor of ours but the
// three, and default signal dispositions.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace hami::base {

struct ProgramOutput {
  int exit_code = -1;  // 128 + n when signal n ended it
  std::string text;    // standard output and error together, cut at `max_output_bytes`
};

struct Program {
  std::string path;                    // absolute, or searched for in PATH
  std::vector<std::string> arguments;  // without the name
  std::optional<std::vector<std::string>> environment = std::nullopt;  // ours if not given
  int timeout_ms = 10'000;
  size_t max_output_bytes = 65536;
  bool errors_apart = false;  // standard error is ours, and not in the text
};

// kNotFound: no such program. kDeadlineExceeded: it was killed for its time.
Result<ProgramOutput> RunProgram(const Program& program);

}  // namespace hami::base
