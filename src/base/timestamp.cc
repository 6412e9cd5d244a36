// SPDX-License-Identifier: Apache-2.0

#include "base/timestamp.h"

#include <time.h>

#include <algorithm>
#include <limits>

namespace hami::base {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr size_t kMicroDigits = 6;

// Takes `count` digits from the front.
std::optional<int> TakeNumber(std::string_view* text, size_t count) {
  if (text->size() < count) return std::nullopt;
  int number = 0;
  for (const char c : text->substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text->remove_prefix(count);
  return number;
}

bool TakeOneOf(std::string_view* text, std::string_view allowed) {
  if (text->empty() || allowed.find(text->front()) == std::string_view::npos) return false;
  text->remove_prefix(1);
  return true;
}

// ".5" as nanoseconds; 0 if there is none.
std::optional<int64_t> TakeFraction(std::string_view* text) {
  if (text->empty() || text->front() != '.') return 0;
  text->remove_prefix(1);
  auto digit = TakeNumber(text, 1);
  if (!digit) return std::nullopt;
  int64_t fraction_ns = 0;
  for (int64_t unit_ns = kSecondNs / 10; digit; digit = TakeNumber(text, 1), unit_ns /= 10) {
    fraction_ns += *digit * unit_ns;
  }
  return fraction_ns;
}

// Seconds east of Greenwich; the text is used up.
std::optional<int> TakeZone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  const bool is_west = !text.empty() && text.front() == '-';
  if (!TakeOneOf(&text, "+-")) return std::nullopt;
  const auto hours = TakeNumber(&text, 2);
  if (!hours || !TakeOneOf(&text, ":")) return std::nullopt;
  const auto minutes = TakeNumber(&text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  const int seconds = (*hours * 60 + *minutes) * 60;
  return is_west ? -seconds : seconds;
}

}  // namespace

std::string FormatTimestamp(int64_t wall_ns) {
  const time_t seconds = wall_ns / kSecondNs;
  tm parts = {};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

std::string FormatMicroTimestamp(int64_t wall_ns) {
  wall_ns = std::max<int64_t>(wall_ns, 0);
  std::string text = FormatTimestamp(wall_ns);
  std::string micros = std::to_string(wall_ns % kSecondNs / 1000);
  micros.insert(0, kMicroDigits - micros.size(), '0');
  text.insert(text.size() - 1, "." + micros);
  return text;
}

std::optional<int64_t> ParseTimestamp(std::string_view text) {
  tm parts = {};
  const struct {
    int* field;
    size_t digits;
    std::string_view then;
    int less;
    int least;
    int most;
  } kFields[] = {{&parts.tm_year, 4, "-", 1900, 1970, 9999}, {&parts.tm_mon, 2, "-", 1, 1, 12},
                 {&parts.tm_mday, 2, "Tt", 0, 1, 31},        {&parts.tm_hour, 2, ":", 0, 0, 23},
                 {&parts.tm_min, 2, ":", 0, 0, 59},          {&parts.tm_sec, 2, "", 0, 0, 60}};
  for (const auto& item : kFields) {
    const auto number = TakeNumber(&text, item.digits);
    if (!number || *number < item.least || *number > item.most) return std::nullopt;
    *item.field = *number - item.less;
    if (!item.then.empty() && !TakeOneOf(&text, item.then)) return std::nullopt;
  }
  const auto fraction_ns = TakeFraction(&text);
  const auto zone_s = TakeZone(text);
  if (!fraction_ns || !zone_s) return std::nullopt;
  const int64_t seconds = timegm(&parts) - *zone_s;
  if (seconds >= kMost / kSecondNs) return kMost;
  return seconds * kSecondNs + *fraction_ns;
}

}  // namespace hami::base
