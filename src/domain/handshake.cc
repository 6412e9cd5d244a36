// SPDX-License-Identifier: Apache-2.0

#include "domain/handshake.h"

#include "base/timestamp.h"

namespace hami::domain {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr std::string_view kRequesting = "Requesting";
constexpr size_t kDateSize = 10;  // "2026-08-21"

// "2026-08-21 10:00:00"
std::string FormatTime(int64_t now_s) {
  std::string text = base::FormatTimestamp(now_s * kSecondNs);
  text[kDateSize] = ' ';
  text.pop_back();
  return text;
}

std::optional<int64_t> ParseTime(std::string_view text) {
  if (text.size() <= kDateSize || text[kDateSize] != ' ') return std::nullopt;
  std::string rfc3339(text);
  rfc3339[kDateSize] = 'T';
  rfc3339 += 'Z';
  const std::optional<int64_t> wall_ns = base::ParseTimestamp(rfc3339);
  if (!wall_ns) return std::nullopt;
  return *wall_ns / kSecondNs;
}

}  // namespace

HandshakeVerdict JudgeHandshake(std::optional<std::string_view> annotation, int64_t now_s,
                                int64_t allocatable) {
  if (!annotation || annotation->find(kRequesting) == std::string_view::npos) {
    return {.is_healthy = true, .read_again = true, .ask = true};
  }
  const size_t underscore = annotation->find('_');
  const std::optional<int64_t> asked_s = underscore == std::string_view::npos
                                             ? std::nullopt
                                             : ParseTime(annotation->substr(underscore + 1));
  const bool in_time = !asked_s || now_s - *asked_s < kHandshakeTimeoutS;
  return {.is_healthy = in_time || allocatable > 0, .read_again = false, .ask = false};
}

std::string FormatHandshake(int64_t now_s) {
  return std::string(kRequesting) + "_" + FormatTime(now_s);
}

std::string FormatHandshakeAnswer(int64_t now_s) { return "Reported_" + FormatTime(now_s); }

}  // namespace hami::domain
