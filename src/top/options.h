// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hami top`. Pure.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "top/order.h"

namespace hami::top {

struct Options {
  bool help = false;
  bool once = false;
  bool json = false;
  bool processes = true;
  int64_t interval_ms = 1000;  // 0: a single look
  Order order;
  std::string filter;              // terms with spaces between them
  std::vector<std::string> paths;  // empty: all shares of this machine
};

std::string_view Help();

// Without the program's name. kInvalidArgument says what is wrong.
Result<Options> ParseOptions(const std::vector<std::string>& arguments);

}  // namespace hami::top
