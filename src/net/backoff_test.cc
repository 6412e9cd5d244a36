// SPDX-License-Identifier: Apache-2.0

#include "net/backoff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace hami::net {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000'000;

TEST(BackoffTest, DoublesUpToItsLargest) {
  Backoff backoff({.first_ms = 100, .max_ms = 700, .calm_ms = 60'000}, [] { return 0; });
  std::vector<int64_t> waits;
  for (int i = 0; i < 5; ++i) waits.push_back(backoff.NextMs(1000 * kSecond + i));
  EXPECT_THAT(waits, ElementsAre(50, 100, 200, 350, 350));
}

TEST(BackoffTest, StaysBetweenHalfAndAll) {
  Backoff backoff({.first_ms = 1000, .max_ms = 1000}, SystemRandom());
  for (int i = 0; i < 1000; ++i) {
    const int64_t wait = backoff.NextMs(kSecond);
    EXPECT_GE(wait, 500);
    EXPECT_LE(wait, 1000);
  }
}

TEST(BackoffTest, StartsAgainAfterCalmAndReset) {
  Backoff backoff({.first_ms = 100, .max_ms = 10'000, .calm_ms = 5'000}, [] { return 0; });
  backoff.NextMs(100 * kSecond);
  EXPECT_EQ(backoff.NextMs(101 * kSecond), 100);
  EXPECT_EQ(backoff.NextMs(107 * kSecond), 50);
  EXPECT_EQ(backoff.NextMs(108 * kSecond), 100);
  backoff.Reset();
  EXPECT_EQ(backoff.NextMs(108 * kSecond), 50);
}

TEST(BackoffTest, RandomBetweenReachesBothEnds) {
  EXPECT_EQ(RandomBetween([] { return 0; }, -3, 3), -3);
  EXPECT_EQ(RandomBetween([] { return 6; }, -3, 3), 3);
  EXPECT_EQ(RandomBetween([] { return 7; }, -3, 3), -3);
  EXPECT_EQ(RandomBetween([] { return 5; }, 4, 4), 4);
}

}  // namespace
}  // namespace hami::net
