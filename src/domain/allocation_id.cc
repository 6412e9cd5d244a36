// SPDX-License-Identifier: Apache-2.0

#include "domain/allocation_id.h"

#include <cstddef>

namespace hami::domain {
namespace {

constexpr std::string_view kVersion = "v1,";
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr size_t kIdDigits = 16;

}  // namespace

std::string FormatAllocationId(uint64_t id) {
  std::string text(kVersion);
  for (size_t i = 0; i < kIdDigits; ++i) text += kDigits[(id >> (60 - 4 * i)) & 15];
  return text;
}

std::optional<uint64_t> ParseAllocationId(std::string_view text) {
  if (!text.starts_with(kVersion) || text.size() != kVersion.size() + kIdDigits) {
    return std::nullopt;
  }
  uint64_t id = 0;
  for (const char c : text.substr(kVersion.size())) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    id = id << 4 | digit;
  }
  return id;
}

}  // namespace hami::domain
