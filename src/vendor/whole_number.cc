// SPDX-License-Identifier: Apache-2.0

#include "vendor/whole_number.h"

#include <array>
#include <charconv>
#include <limits>

namespace hami::vendor {
namespace {

struct Suffix {
  std::string_view text;
  int64_t base;
  int power;  // negative: a fraction of it
};

constexpr std::array<Suffix, 16> kSuffixes = {{{"", 10, 0},
                                               {"n", 10, -9},
                                               {"u", 10, -6},
                                               {"m", 10, -3},
                                               {"k", 10, 3},
                                               {"M", 10, 6},
                                               {"G", 10, 9},
                                               {"T", 10, 12},
                                               {"P", 10, 15},
                                               {"E", 10, 18},
                                               {"Ki", 1024, 1},
                                               {"Mi", 1024, 2},
                                               {"Gi", 1024, 3},
                                               {"Ti", 1024, 4},
                                               {"Pi", 1024, 5},
                                               {"Ei", 1024, 6}}};
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
// More digits than a number has that could still become whole and fit.
constexpr size_t kMaxDigits = 40;

std::optional<Suffix> FindSuffix(std::string_view text) {
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.text == text) return suffix;
  }
  if (text.size() < 2 || text.size() > 4 || (text[0] != 'e' && text[0] != 'E')) {
    return std::nullopt;
  }
  std::string_view digits = text.substr(1);
  if (digits[0] == '+') digits.remove_prefix(1);
  int power = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), power);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return Suffix{text, 10, power};
}

bool Multiply(int64_t factor, unsigned __int128* value) {
  *value *= static_cast<unsigned>(factor);
  return *value <= static_cast<unsigned __int128>(kMost);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<int64_t> WholeNumber(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > kMaxDigits) return std::nullopt;
  std::string_view whole = text;
  size_t length = 0;
  while (length < text.size() && IsDigit(text[length])) ++length;
  whole = text.substr(0, length);
  text.remove_prefix(length);
  std::string_view fraction;
  if (text.starts_with('.')) {
    length = 1;
    while (length < text.size() && IsDigit(text[length])) ++length;
    fraction = text.substr(1, length - 1);
    text.remove_prefix(length);
  }
  if (whole.empty() && fraction.empty()) return std::nullopt;
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  const std::optional<Suffix> suffix = FindSuffix(text);
  // What is finer than 10^-18 never becomes whole with a suffix of at most 10^18 or 2^60.
  if (!suffix || fraction.size() > 18) return std::nullopt;
  unsigned __int128 value = 0;
  for (const std::string_view digits : {whole, fraction}) {
    for (const char digit : digits) {
      value = value * 10 + static_cast<unsigned>(digit - '0');
      if (value > static_cast<unsigned __int128>(kMost)) return std::nullopt;
    }
  }
  if (value == 0) return 0;
  int divide = static_cast<int>(fraction.size());
  int power = suffix->power;
  if (suffix->base == 10) {
    power -= divide;
    divide = power < 0 ? -power : 0;
  }
  for (; power > 0; --power) {
    if (!Multiply(suffix->base, &value)) return std::nullopt;
  }
  for (; divide > 0; --divide) {
    if (value % 10 != 0) return std::nullopt;
    value /= 10;
  }
  const auto result = static_cast<int64_t>(value);
  return negative ? -result : result;
}

}  // namespace hami::vendor
