// SPDX-License-Identifier: Apache-2.0

#include "extender/patience.h"

#include <gtest/gtest.h>

namespace hami::extender {
namespace {

TEST(PatienceTest, ShortWaitsFollowEachOtherUntilItIsUsedUp) {
  Patience patience(100);
  EXPECT_EQ(patience.Begin(1'000), 100);
  patience.End(1'020);
  EXPECT_EQ(patience.Begin(1'020), 80);
  patience.End(1'100);
  EXPECT_EQ(patience.Begin(1'100), 0);
}

TEST(PatienceTest, ATenthOfTheTimeComesBackUpToTheMost) {
  Patience patience(100);
  ASSERT_EQ(patience.Begin(1'000), 100);
  patience.End(1'100);
  EXPECT_EQ(patience.Begin(1'500), 40);
  patience.End(1'500);
  EXPECT_EQ(patience.Begin(100'000), 100);
}

TEST(PatienceTest, WhoWaitedTooLongPaysForIt) {
  Patience patience(100);
  ASSERT_EQ(patience.Begin(1'000), 100);
  patience.End(1'300);
  EXPECT_EQ(patience.Begin(3'000), 0);
  EXPECT_EQ(patience.Begin(3'100), 0);
  EXPECT_EQ(patience.Begin(4'300), 100);
}

TEST(PatienceTest, OneWaitsAtATime) {
  Patience patience(100);
  ASSERT_EQ(patience.Begin(1'000), 100);
  EXPECT_EQ(patience.Begin(1'010), 0);
  patience.End(1'020);
  EXPECT_EQ(patience.Begin(1'020), 80);
}

TEST(PatienceTest, ThereMayBeNone) { EXPECT_EQ(Patience(0).Begin(1'000), 0); }

}  // namespace
}  // namespace hami::extender
