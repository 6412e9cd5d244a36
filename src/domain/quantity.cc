// SPDX-License-Identifier: Apache-2.0

#include "domain/quantity.h"

#include <array>
#include <cctype>
#include <limits>
#include <optional>

namespace hami::domain {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
// Digits that change the result: 2^63 has 19, and "n" shifts by 9 more.
constexpr int kMaxDigits = 28;
constexpr int kMaxExponent = 40;

// value = mantissa * binary * 10^exponent
struct Suffix {
  std::string_view text;
  int shift;     // binary: 2^shift
  int exponent;  // decimal: 10^exponent
};

constexpr std::array<Suffix, 16> kSuffixes = {{{"", 0, 0},
                                               {"n", 0, -9},
                                               {"u", 0, -6},
                                               {"m", 0, -3},
                                               {"k", 0, 3},
                                               {"M", 0, 6},
                                               {"G", 0, 9},
                                               {"T", 0, 12},
                                               {"P", 0, 15},
                                               {"E", 0, 18},
                                               {"Ki", 10, 0},
                                               {"Mi", 20, 0},
                                               {"Gi", 30, 0},
                                               {"Ti", 40, 0},
                                               {"Pi", 50, 0},
                                               {"Ei", 60, 0}}};

std::optional<Suffix> FindSuffix(std::string_view text) {
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.text == text) return suffix;
  }
  // "e3", "E-2"
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return std::nullopt;
  std::string_view digits = text.substr(1);
  const bool negative = digits[0] == '-';
  if (negative || digits[0] == '+') digits.remove_prefix(1);
  if (digits.empty() || digits.size() > 3) return std::nullopt;
  int exponent = 0;
  for (const char digit : digits) {
    if (std::isdigit(static_cast<unsigned char>(digit)) == 0) return std::nullopt;
    exponent = exponent * 10 + (digit - '0');
  }
  return Suffix{text, 0, negative ? -exponent : exponent};
}

// mantissa * 2^shift * 10^exponent, rounded away from zero, at most kMost.
int64_t Scale(unsigned __int128 mantissa, int shift, int exponent) {
  constexpr unsigned __int128 kLimit = static_cast<unsigned __int128>(1) << 120;
  if (mantissa == 0) return 0;
  // Down first where both happen ("0.5Gi"): 10^28 * 2^60 would not fit otherwise.
  bool rest = false;
  for (int bit = 0; bit < shift; ++bit) {
    if (mantissa > kLimit) {
      if (exponent >= 0) return kMost;
      rest = rest || mantissa % 10 != 0;
      mantissa /= 10;
      ++exponent;
    }
    mantissa *= 2;
  }
  for (; exponent > 0; --exponent) {
    if (mantissa > static_cast<unsigned __int128>(kMost)) return kMost;
    mantissa *= 10;
  }
  for (; exponent < 0 && mantissa != 0; ++exponent) {
    rest = rest || mantissa % 10 != 0;
    mantissa /= 10;
  }
  if (rest) ++mantissa;
  return mantissa > static_cast<unsigned __int128>(kMost) ? kMost : static_cast<int64_t>(mantissa);
}

std::string Format(int64_t value, int64_t base, const std::array<const char*, 7>& suffixes) {
  size_t used = 0;
  while (used + 1 < suffixes.size() && value != 0 && value % base == 0) {
    value /= base;
    ++used;
  }
  return std::to_string(value) + suffixes[used];
}

// In units of 10^-finer, rounded up.
Result<int64_t> Parse(std::string_view text, int finer) {
  const auto invalid = [text] {
    return Fail(Code::kInvalidArgument,
                "\"" + std::string(text.substr(0, 64)) + "\" is not a quantity such as 10Gi or 50");
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  unsigned __int128 mantissa = 0;
  int digits = 0;
  int fraction = 0;
  bool any = false;
  bool point = false;
  bool dropped = false;  // digits behind the last that counts
  for (; !rest.empty(); rest.remove_prefix(1)) {
    const char c = rest.front();
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) break;
    any = true;
    if (digits == kMaxDigits) {
      if (!point) return negative ? -kMost : kMost;
      dropped = dropped || c != '0';
      continue;
    }
    mantissa = mantissa * 10 + static_cast<unsigned>(c - '0');
    if (mantissa != 0) ++digits;
    if (point) ++fraction;
  }
  const std::optional<Suffix> suffix = FindSuffix(rest);
  if (!any || !suffix) return invalid();
  if (dropped) ++mantissa;
  const int exponent = suffix->exponent - fraction + finer;
  int64_t value = 0;
  if (exponent > kMaxExponent) {
    value = mantissa == 0 ? 0 : kMost;
  } else {
    value = Scale(mantissa, suffix->shift, exponent);
  }
  return negative ? -value : value;
}

}  // namespace

Result<int64_t> ParseQuantity(std::string_view text) { return Parse(text, 0); }

Result<int64_t> ParseMilliQuantity(std::string_view text) { return Parse(text, 3); }

std::string FormatBinaryQuantity(int64_t value) {
  return Format(value, 1024, {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"});
}

std::string FormatDecimalQuantity(int64_t value) {
  return Format(value, 1000, {"", "k", "M", "G", "T", "P", "E"});
}

}  // namespace hami::domain
