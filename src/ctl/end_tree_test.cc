// SPDX-License-Identifier: Apache-2.0

#include "ctl/end_tree.h"

#include <gtest/gtest.h>

namespace hami::ctl {
namespace {

using Action = TreeEnding::Action;

constexpr int64_t kBegin = 1'000'000'000'000;
constexpr int64_t kSecond = 1'000'000'000;

TEST(TreeEndingTest, AsksOnceThenWaitsThenKills) {
  TreeEnding ending(kBegin);
  EXPECT_EQ(ending.Step(kBegin), Action::kTerminate);
  EXPECT_EQ(ending.next_ns(), kBegin + kGraceNs);
  EXPECT_EQ(ending.Step(kBegin + 1), Action::kNothing);
  EXPECT_EQ(ending.Step(kBegin + kGraceNs - 1), Action::kNothing);
  EXPECT_EQ(ending.Step(kBegin + kGraceNs), Action::kKill);
}

TEST(TreeEndingTest, KillsAgainBecauseATreeMayFork) {
  TreeEnding ending(kBegin);
  ending.Hurry();
  EXPECT_EQ(ending.Step(kBegin), Action::kKill);
  EXPECT_EQ(ending.Step(kBegin + 1), Action::kNothing);
  EXPECT_EQ(ending.Step(ending.next_ns()), Action::kKill);
}

TEST(TreeEndingTest, HurryEndsTheGrace) {
  TreeEnding ending(kBegin);
  EXPECT_EQ(ending.Step(kBegin), Action::kTerminate);
  ending.Hurry();
  EXPECT_EQ(ending.Step(kBegin + 1), Action::kKill);
}

TEST(TreeEndingTest, SlowsDownWhereKillingDoesNotHelp) {
  TreeEnding ending(kBegin);
  ending.Hurry();
  int kills = 0;
  for (int64_t now = kBegin; now < kBegin + 60 * kSecond; now += 10'000'000) {
    if (ending.Step(now) == Action::kKill) ++kills;
  }
  EXPECT_GT(kills, 59);   // still trying
  EXPECT_LT(kills, 300);  // but not fifty times a second
}

TEST(TreeEndingTest, IsStuckFiveSecondsAfterTheFirstKill) {
  TreeEnding ending(kBegin);
  EXPECT_FALSE(ending.IsStuck(kBegin + 100 * kSecond));
  EXPECT_EQ(ending.Step(kBegin + kGraceNs), Action::kKill);
  EXPECT_FALSE(ending.IsStuck(kBegin + kGraceNs + kStuckNs));
  EXPECT_TRUE(ending.IsStuck(kBegin + kGraceNs + kStuckNs + 1));
}

}  // namespace
}  // namespace hami::ctl
