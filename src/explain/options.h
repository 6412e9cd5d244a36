// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hami explain`. Pure.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::explain {

struct Options {
  bool help = false;
  bool json = false;
  bool pod = false;  // a pod, not a claim
  std::string name;
  std::string name_space;  // empty: the context's
  std::string kubeconfig;
  std::string context;
};

std::string_view Help();

// Without the program's name. kInvalidArgument says what is missing.
Result<Options> ParseOptions(const std::vector<std::string>& arguments);

}  // namespace hami::explain
