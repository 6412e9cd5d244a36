// SPDX-License-Identifier: Apache-2.0

#include "placement/pod_mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::placement {
namespace {

using ::testing::SizeIs;

PodShape Share(int64_t cpu_milli, int32_t percent, int32_t count = 1) {
  return {.cpu_milli = cpu_milli, .asks = {{.count = count, .cores_pct = percent}}};
}

TEST(PodMixTest, NoticesThatPodsLeave) {
  PodMix mix;
  for (int i = 0; i < 1000; ++i) mix.Observe(Share(1000, 40));
  const uint32_t version = mix.version();
  for (int i = 0; i < 200; ++i) mix.ObserveDeparture();
  for (int i = 0; i < 600; ++i) mix.Observe(Share(1000, 40));
  EXPECT_FALSE(mix.turns_over());
  EXPECT_EQ(mix.version(), version);
  for (int i = 0; i < 600; ++i) mix.ObserveDeparture();
  for (int i = 0; i < 600; ++i) mix.Observe(Share(1000, 40));
  EXPECT_TRUE(mix.turns_over());
  EXPECT_NE(mix.version(), version);  // scores are others now
  // When they stay for good, that is noticed too.
  for (int i = 0; i < 20'000; ++i) mix.Observe(Share(1000, 40));
  EXPECT_FALSE(mix.turns_over());
}

TEST(PodMixTest, FollowsWhatTheClusterRuns) {
  PodMix mix;
  for (int i = 0; i < 1000; ++i) mix.Observe(Share(1000, i % 50 == 0 ? 30 : 40));
  ASSERT_THAT(mix.typical(), SizeIs(1));  // 98 % are alike
  EXPECT_DOUBLE_EQ(mix.typical()[0].weight, 1);
  for (int i = 0; i < 60'000; ++i) mix.Observe(Share(1000, 70));
  ASSERT_THAT(mix.typical(), SizeIs(1));
  EXPECT_EQ(mix.typical()[0].shape, Share(1000, 70));
  // Nothing new: scores stay comparable, and what was computed stays valid.
  const uint32_t version = mix.version();
  for (int i = 0; i < 5000; ++i) mix.Observe(Share(1000, 70));
  EXPECT_EQ(mix.version(), version);
}

TEST(PodMixTest, WherePodsLeaveEachCountsAsOftenAsItAsksForWholeDevices) {
  PodMix mix;
  const auto come = [&mix] {
    for (int i = 0; i < 1000; ++i) mix.Observe(i % 5 == 0 ? Share(0, 100, 8) : Share(0, 40));
  };
  come();
  ASSERT_THAT(mix.typical(), SizeIs(2));  // which follows in steps
  EXPECT_EQ(mix.typical()[0].shape, Share(0, 40));
  EXPECT_NEAR(mix.typical()[0].weight, 0.8, 0.05);
  for (int i = 0; i < 1000; ++i) mix.ObserveDeparture();
  come();
  ASSERT_TRUE(mix.turns_over());
  EXPECT_EQ(mix.typical()[0].shape, Share(0, 100, 8));
  EXPECT_NEAR(mix.typical()[0].weight, 8.0 / 12, 0.05);
}

}  // namespace
}  // namespace hami::placement
