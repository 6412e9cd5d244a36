// SPDX-License-Identifier: Apache-2.0

#include "base/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace hami::base {
namespace {

struct Unit {
  std::string_view name;
  uint64_t bytes;
};

constexpr std::array<Unit, 18> kUnits = {{
    {"B", 1},
    {"Ki", 1024},
    {"KiB", 1024},
    {"Mi", kMib},
    {"MiB", kMib},
    {"Gi", kGib},
    {"GiB", kGib},
    {"Ti", kGib * 1024},
    {"TiB", kGib * 1024},
    {"k", 1000},
    {"kB", 1000},
    {"M", 1'000'000},
    {"MB", 1'000'000},
    {"G", 1'000'000'000},
    {"GB", 1'000'000'000},
    {"T", 1'000'000'000'000},
    {"TB", 1'000'000'000'000},
    {"", kMib},
}};

const Unit* FindUnit(std::string_view name) {
  const auto* found = std::ranges::find(kUnits, name, &Unit::name);
  return found == kUnits.end() ? nullptr : found;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Error UnknownUnit(std::string_view text, std::string_view name) {
  // "10Gib", "10gi": the right spelling differs only in case. "10m" and "10K" do not say which of
  // two kinds is meant.
  std::string advice = "use Ki, Mi, Gi or Ti (1024), or k, M, G or T (1000)";
  for (const std::string_view stem : {"Ki", "Mi", "Gi", "Ti"}) {
    const std::string longer = std::string(stem) + "B";
    if (EqualIgnoringCase(name, stem) || EqualIgnoringCase(name, longer)) {
      advice = fmt::format("use {} or {}", stem, longer);
    }
  }
  for (const std::string_view letter : {"K", "M", "G", "T"}) {
    if (EqualIgnoringCase(name, letter) || EqualIgnoringCase(name, std::string(letter) + "B")) {
      advice = fmt::format("use {}i (1024) or {} (1000)", letter, letter == "K" ? "k" : letter);
    }
  }
  return {Code::kInvalidArgument,
          fmt::format("\"{}\": unknown unit \"{}\"; {}", text, name, advice)};
}

// A decimal number as numerator / 10^digits, exactly.
struct Decimal {
  uint64_t numerator = 0;
  uint64_t denominator = 1;
  size_t length = 0;  // characters of the text it takes
};

Result<Decimal> ParseDecimal(std::string_view text) {
  constexpr uint64_t kMaxNumerator = 1'000'000'000'000'000'000;
  Decimal number;
  bool seen_point = false;
  bool seen_digit = false;
  for (const char c : text) {
    if (c == '.' && !seen_point) {
      seen_point = true;
    } else if (c >= '0' && c <= '9') {
      seen_digit = true;
      if (number.numerator >= kMaxNumerator / 10) {
        return Fail(Code::kInvalidArgument, fmt::format("\"{}\": the number is too long", text));
      }
      number.numerator = number.numerator * 10 + static_cast<uint64_t>(c - '0');
      if (seen_point) number.denominator *= 10;
    } else {
      break;
    }
    ++number.length;
  }
  const bool ends_in_point = number.length > 0 && text[number.length - 1] == '.';
  if (!seen_digit || ends_in_point || text[0] == '.') {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\": not an amount of memory; write for example 10Gi", text));
  }
  return number;
}

Status RefuseObviousMistakes(std::string_view text) {
  if (text.empty()) {
    return Fail(Code::kInvalidArgument, "empty amount of memory; write for example 10Gi");
  }
  if (text[0] == '-') {
    return Fail(Code::kInvalidArgument, fmt::format("\"{}\": an amount cannot be negative", text));
  }
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  if (std::ranges::any_of(text, is_space)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\": no spaces between number and unit", text));
  }
  return {};
}

}  // namespace

uint64_t MemoryAmount::Of(uint64_t total_bytes) const {
  if (!is_percent) return bytes;
  const auto part = static_cast<unsigned __int128>(total_bytes) * millipercent / 100'000;
  return static_cast<uint64_t>(part) / kMib * kMib;
}

Result<uint64_t> ParseBytes(std::string_view text) {
  RETURN_IF_ERROR(RefuseObviousMistakes(text));
  ASSIGN_OR_RETURN(const Decimal number, ParseDecimal(text));
  const std::string_view name = text.substr(number.length);
  const Unit* unit = FindUnit(name);
  if (unit == nullptr) return Fail(UnknownUnit(text, name));
  const auto scaled = static_cast<unsigned __int128>(number.numerator) * unit->bytes;
  if (scaled / number.denominator > kMaxParsedBytes) {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\": more than {}", text, FormatBytes(kMaxParsedBytes)));
  }
  if (scaled % number.denominator != 0) {
    return Fail(Code::kInvalidArgument, fmt::format("\"{}\": not a whole number of bytes", text));
  }
  return static_cast<uint64_t>(scaled / number.denominator);
}

Result<MemoryAmount> ParseMemoryAmount(std::string_view text) {
  MemoryAmount amount;
  if (!text.ends_with('%')) {
    ASSIGN_OR_RETURN(amount.bytes, ParseBytes(text));
    return amount;
  }
  RETURN_IF_ERROR(RefuseObviousMistakes(text));
  ASSIGN_OR_RETURN(const Decimal number, ParseDecimal(text));
  if (number.length + 1 != text.size()) {
    return Fail(Code::kInvalidArgument, fmt::format("\"{}\": not a percentage", text));
  }
  const auto scaled = static_cast<unsigned __int128>(number.numerator) * 1000;
  if (scaled / number.denominator > 100'000 ||
      (scaled / number.denominator == 100'000 && scaled % number.denominator != 0)) {
    return Fail(Code::kInvalidArgument, fmt::format("\"{}\": more than 100%", text));
  }
  if (scaled % number.denominator != 0 || scaled == 0) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("\"{}\": a percentage is 0.001 to 100 with at most three decimals", text));
  }
  amount.is_percent = true;
  amount.millipercent = static_cast<uint32_t>(scaled / number.denominator);
  return amount;
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const std::string_view name : {"Ti", "Gi", "Mi", "Ki"}) {
    const uint64_t unit = FindUnit(name)->bytes;
    if (bytes % unit == 0) return fmt::format("{}{}", bytes / unit, name);
  }
  return fmt::format("{}B", bytes);
}

std::string FormatBytesRounded(uint64_t bytes) {
  for (const std::string_view name : {"TiB", "GiB", "MiB", "KiB"}) {
    const uint64_t unit = FindUnit(name)->bytes;
    if (bytes >= unit) {
      return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(unit), name);
    }
  }
  return fmt::format("{} B", bytes);
}

}  // namespace hami::base
