// SPDX-License-Identifier: Apache-2.0

#include "kube/retry.h"

#include <gtest/gtest.h>

namespace hami::kube {
namespace {

std::optional<int64_t> Delay(const Outcome& outcome, bool repeatable) {
  return RetryDelayMs(outcome, repeatable, 1, 60'000, 100);
}

TEST(RetryTest, A429WasNotExecuted) {
  const Outcome outcome{.http_status = 429, .retry_after_ms = 2'000};
  EXPECT_EQ(Delay(outcome, true), 2'000);
  EXPECT_EQ(Delay(outcome, false), 2'000);
  EXPECT_EQ(Delay({.http_status = 429}, false), 100);
}

TEST(RetryTest, ServersInTroubleAreAskedAgainForWhatDoesNoHarm) {
  for (const int http_status : {502, 503, 504}) {
    EXPECT_EQ(Delay({.http_status = http_status}, true), 100);
    EXPECT_EQ(Delay({.http_status = http_status, .retry_after_ms = 1'000}, true), 1'000);
    EXPECT_EQ(Delay({.http_status = http_status, .retry_after_ms = 1'000}, false), std::nullopt);
  }
  EXPECT_EQ(Delay({.http_status = 500}, true), std::nullopt);
  EXPECT_EQ(Delay({.http_status = 500, .retry_after_ms = 1}, true), 100);
  EXPECT_EQ(Delay({.http_status = 500, .retry_after_ms = 1}, false), std::nullopt);
  for (const int http_status : {400, 401, 403, 404, 409, 410, 422, 501}) {
    EXPECT_EQ(Delay({.http_status = http_status, .retry_after_ms = 1}, true), std::nullopt);
  }
}

TEST(RetryTest, BrokenConnections) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded}) {
    EXPECT_EQ(Delay({.code = code, .maybe_executed = true}, true), 100);
    EXPECT_EQ(Delay({.code = code, .maybe_executed = true}, false), std::nullopt);
    EXPECT_EQ(Delay({.code = code, .maybe_executed = false}, false), 100);
  }
  for (const Code code : {Code::kFailedPrecondition, Code::kInvalidArgument, Code::kCancelled,
                          Code::kResourceExhausted}) {
    EXPECT_EQ(Delay({.code = code, .maybe_executed = false}, true), std::nullopt);
  }
}

TEST(RetryTest, TriesAndTimeAreBounded) {
  const Outcome outcome{.http_status = 503};
  EXPECT_TRUE(RetryDelayMs(outcome, true, kMaxAttempts - 1, 1'000, 100));
  EXPECT_FALSE(RetryDelayMs(outcome, true, kMaxAttempts, 1'000, 100));
  EXPECT_TRUE(RetryDelayMs(outcome, true, 1, 101, 100));
  EXPECT_FALSE(RetryDelayMs(outcome, true, 1, 100, 100));
  EXPECT_FALSE(RetryDelayMs({.http_status = 429, .retry_after_ms = 5'000}, true, 1, 5'000, 1));
}

}  // namespace
}  // namespace hami::kube
