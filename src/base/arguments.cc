// SPDX-License-Identifier: Apache-2.0

#include "base/arguments.h"

#include <cstddef>
#include <utility>

namespace hami::base {

std::vector<std::string> Arguments(int argc, char** argv) {
  return argc < 1 ? std::vector<std::string>() : std::vector<std::string>(argv + 1, argv + argc);
}

std::vector<std::string> ReverseArguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> reversed;
  for (size_t i = arguments.size(); i-- > 0;) {
    std::string argument = arguments[i];
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      argument.pop_back();
      reversed.emplace_back();
    }
    reversed.push_back(std::move(argument));
  }
  return reversed;
}

}  // namespace hami::base
