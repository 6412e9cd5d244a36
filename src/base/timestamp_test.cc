// SPDX-License-Identifier: Apache-2.0

#include "base/timestamp.h"

#include <gtest/gtest.h>

#include <limits>

namespace hami::base {
namespace {

constexpr int64_t kNs = 1'000'000'000;

TEST(TimestampTest, ThereAndBack) {
  EXPECT_EQ(FormatTimestamp(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatTimestamp(1'787'392'800 * kNs + 5), "2026-08-22T10:00:00Z");
  EXPECT_EQ(ParseTimestamp("2026-08-22T10:00:00Z"), 1'787'392'800 * kNs);
  EXPECT_EQ(ParseTimestamp("2024-02-29T23:59:59Z"), 1'709'251'199 * kNs);
}

TEST(TimestampTest, OffsetsAndFractions) {
  EXPECT_EQ(ParseTimestamp("2026-08-22T12:30:00.123456789+02:30"),
            1'787'392'800 * kNs + 123'456'789);
  EXPECT_EQ(ParseTimestamp("2026-08-22T10:00:00.5Z"), 1'787'392'800 * kNs + kNs / 2);
  EXPECT_EQ(ParseTimestamp("2026-08-22T10:00:00.0000000019Z"), 1'787'392'800 * kNs + 1);
  EXPECT_EQ(ParseTimestamp("2026-08-22t09:00:00-01:00"), 1'787'392'800 * kNs);
}

TEST(TimestampTest, TheEndOfTimeIsNotPassed) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(ParseTimestamp("2262-04-11T23:47:15Z"), 9'223'372'035 * kNs);
  EXPECT_EQ(ParseTimestamp("2262-04-11T23:47:16.9Z"), kMost);
  EXPECT_EQ(ParseTimestamp("9999-12-31T23:59:59Z"), kMost);
  EXPECT_EQ(ParseTimestamp("1970-01-01T00:00:00+14:00"), -50'400 * kNs);
}

TEST(TimestampTest, Microseconds) {
  EXPECT_EQ(FormatMicroTimestamp(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatMicroTimestamp(-1), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatMicroTimestamp(1'787'392'800 * kNs + 1'234'999), "2026-08-22T10:00:00.001234Z");
  EXPECT_EQ(ParseTimestamp(FormatMicroTimestamp(1'787'392'800 * kNs + 999'999'000)),
            1'787'392'800 * kNs + 999'999'000);
}

TEST(TimestampTest, AnythingElseIsNone) {
  for (const char* text :
       {"", "2026-08-22", "2026-08-22T10:00:00", "2026-08-22 10:00:00Z", "2026-13-22T10:00:00Z",
        "2026-08-22T24:00:00Z", "2026-08-22T10:00:00.Z", "2026-08-22T10:00:00+1:00",
        "2026-08-22T10:00:00Zx", "x026-08-22T10:00:00Z", "2026-08-22T10:00:00+02:30x"}) {
    EXPECT_FALSE(ParseTimestamp(text)) << text;
  }
}

}  // namespace
}  // namespace hami::base
