// SPDX-License-Identifier: Apache-2.0

#include "trace/traceparent.h"

#include <fmt/format.h>

#include <algorithm>

namespace hami::trace {
namespace {

constexpr size_t kBytes = 55;

bool IsHex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '0'; });
}

std::string SixteenDigits(const Random& random) {
  uint64_t number = 0;
  while (number == 0) number = random();
  return fmt::format("{:016x}", number);
}

}  // namespace

std::optional<Context> ParseTraceparent(std::string_view text) {
  if (text.size() < kBytes || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, 32);
  const std::string_view span = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  if (!IsHex(version) || version == "ff" || !IsHex(trace) || !IsHex(span) || !IsHex(flags) ||
      IsZero(trace) || IsZero(span)) {
    return std::nullopt;
  }
  if (text.size() > kBytes && (version == "00" || text[kBytes] != '-')) return std::nullopt;
  const char last = flags[1];
  const int digit = last <= '9' ? last - '0' : last - 'a' + 10;
  return Context{
      .trace_id = std::string(trace), .span_id = std::string(span), .sampled = (digit & 1) != 0};
}

std::string FormatTraceparent(const Context& context) {
  return fmt::format("00-{}-{}-{}", context.trace_id, context.span_id,
                     context.sampled ? "01" : "00");
}

Context NewContext(const std::optional<Context>& parent, const Random& random) {
  Context context;
  if (parent) {
    context.trace_id = parent->trace_id;
  } else {
    context.trace_id = SixteenDigits(random);
    context.trace_id += SixteenDigits(random);
  }
  context.span_id = SixteenDigits(random);
  context.sampled = !parent || parent->sampled;
  return context;
}

}  // namespace hami::trace
