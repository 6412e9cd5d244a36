// SPDX-License-Identifier: Apache-2.0

#include "domain/handshake.h"

#include <gtest/gtest.h>

namespace hami::domain {
namespace {

constexpr int64_t kNowS = 1'787'306'400;  // 2026-08-21T10:00:00Z

TEST(HandshakeTest, TheContractsExamples) {
  EXPECT_EQ(FormatHandshake(kNowS), "Requesting_2026-08-21 10:00:00");
  EXPECT_EQ(FormatHandshakeAnswer(kNowS), "Reported_2026-08-21 10:00:00");
}

// The rows of the contract's table (1.4).
TEST(HandshakeTest, NobodyAskedYetOrThePluginAnswered) {
  const HandshakeVerdict ask{.is_healthy = true, .read_again = true, .ask = true};
  EXPECT_EQ(JudgeHandshake(std::nullopt, kNowS, 0), ask);
  EXPECT_EQ(JudgeHandshake("", kNowS, 0), ask);
  EXPECT_EQ(JudgeHandshake("Reported_2026-08-21 09:59:59", kNowS, 0), ask);
  EXPECT_EQ(JudgeHandshake("Reported 2026-08-21 09:59:59 +0800", kNowS, 10), ask);
}

TEST(HandshakeTest, WaitingForAMinute) {
  const HandshakeVerdict wait{.is_healthy = true, .read_again = false, .ask = false};
  EXPECT_EQ(JudgeHandshake(FormatHandshake(kNowS), kNowS, 0), wait);
  EXPECT_EQ(JudgeHandshake(FormatHandshake(kNowS), kNowS + 59, 0), wait);
  EXPECT_EQ(JudgeHandshake(FormatHandshake(kNowS), kNowS - 3600, 0), wait);  // another clock
}

TEST(HandshakeTest, NoAnswerMeansGoneUnlessTheNodeOffersDevices) {
  const HandshakeVerdict gone{.is_healthy = false, .read_again = false, .ask = false};
  const HandshakeVerdict there{.is_healthy = true, .read_again = false, .ask = false};
  EXPECT_EQ(JudgeHandshake(FormatHandshake(kNowS), kNowS + 60, 0), gone);
  EXPECT_EQ(JudgeHandshake(FormatHandshake(kNowS), kNowS + 60, 1), there);
}

TEST(HandshakeTest, ATimeThatIsNoneIsPatientlyWaitedFor) {
  const HandshakeVerdict wait{.is_healthy = true, .read_again = false, .ask = false};
  for (const char* text : {"Requesting", "Requesting_", "Requesting_soon", "xRequestingx",
                           "Requesting_2026-08-21T10:00:00", "Requesting_2026-13-21 10:00:00"}) {
    EXPECT_EQ(JudgeHandshake(text, kNowS + 10'000'000, 0), wait) << text;
  }
}

}  // namespace
}  // namespace hami::domain
