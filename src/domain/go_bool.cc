// SPDX-License-Identifier: Apache-2.0

#include "domain/go_bool.h"

#include <algorithm>
#include <array>

namespace hami::domain {
namespace {

constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "true", "TRUE", "True"};
constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "false", "FALSE", "False"};

}  // namespace

std::optional<bool> ParseGoBool(std::string_view text) {
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

}  // namespace hami::domain
