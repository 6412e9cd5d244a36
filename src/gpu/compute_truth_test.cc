// SPDX-License-Identifier: Apache-2.0
//
// GPU time from samples, and the cost scale that is learnt from it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gpu/cost_scale.h"
#include "gpu/process_usage.h"

namespace hami::gpu {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kSecondNs = 1'000'000'000;

TEST(BusySpansTest, ASampleCoversTheTimeBeforeIt) {
  EXPECT_THAT(BusySpans({{7, 1'500'000, 50}}, 1'000'000),
              ElementsAre(BusySpan{7, 1'000'000, 1'500'000, 250'000'000}));
}

TEST(BusySpansTest, SamplesOfOneProcessFollowEachOther) {
  EXPECT_THAT(BusySpans({{7, 2'000'000, 10}, {8, 1'900'000, 100}, {7, 1'500'000, 50}}, 1'000'000),
              ElementsAre(BusySpan{7, 1'000'000, 1'500'000, 250'000'000},
                          BusySpan{8, 1'000'000, 1'900'000, 900'000'000},
                          BusySpan{7, 1'500'000, 2'000'000, 50'000'000}));
}

TEST(BusySpansTest, OldAndRepeatedSamplesCountOnce) {
  EXPECT_THAT(BusySpans({{7, 900'000, 100}, {7, 1'100'000, 100}, {7, 1'100'000, 100}}, 1'000'000),
              ElementsAre(BusySpan{7, 1'000'000, 1'100'000, 100'000'000}));
  EXPECT_THAT(BusySpans({}, 1'000'000), IsEmpty());
}

TEST(BusySpansTest, WhatASampleCoversIsBounded) {
  EXPECT_THAT(BusySpans({{7, 100'000'000, 200}}, 0),
              ElementsAre(BusySpan{7, 98'000'000, 100'000'000, 2 * kSecondNs}));
}

double LearnFor(int seconds, double charged_over_true) {
  CostScale scale;
  for (int i = 0; i < seconds; ++i) {
    // The library charges its estimate times the scale; the truth is half the GPU.
    const double charged = 0.5e9 * charged_over_true * scale.scale;
    scale = Learn(scale, kSecondNs / 2, static_cast<uint64_t>(charged));
  }
  return scale.scale;
}

TEST(CostScaleTest, ConvergesToTheTruth) {
  EXPECT_NEAR(LearnFor(60, 1.0), 1.0, 0.001);
  EXPECT_NEAR(LearnFor(60, 2.0), 0.5, 0.005);   // estimates twice too high
  EXPECT_NEAR(LearnFor(60, 0.5), 2.0, 0.02);    // twice too low
  EXPECT_NEAR(LearnFor(200, 100), 0.25, 1e-9);  // never beyond the bounds
  EXPECT_NEAR(LearnFor(200, 0.01), 4.0, 1e-9);
}

TEST(CostScaleTest, StepsBecomeSmallerAndAreBounded) {
  CostScale scale = Learn({}, 10 * kSecondNs, kSecondNs);
  EXPECT_DOUBLE_EQ(scale.scale, 2.0);
  scale = Learn(scale, kSecondNs / 10, kSecondNs);
  EXPECT_DOUBLE_EQ(scale.scale, 1.5);
  for (int i = 0; i < 10; ++i) scale = Learn(scale, kSecondNs, kSecondNs);
  scale.scale = 1;
  EXPECT_DOUBLE_EQ(Learn(scale, 2 * kSecondNs, kSecondNs).scale, 1.25);
}

TEST(CostScaleTest, LittleChargeIsGathered) {
  CostScale scale = Learn({}, 100'000'000, 50'000'000);
  EXPECT_DOUBLE_EQ(scale.scale, 1.0);
  scale = Learn(scale, 300'000'000, 200'000'000);
  EXPECT_DOUBLE_EQ(scale.scale, 1.6);
  EXPECT_EQ(scale.charged_ns, 0U);
}

TEST(CostScaleTest, ChargeWithoutTruthTeachesNothing) {
  CostScale scale;
  for (int i = 0; i < 100; ++i) scale = Learn(scale, 0, kSecondNs);
  EXPECT_DOUBLE_EQ(scale.scale, 1.0);
  EXPECT_EQ(scale.charged_ns, 0U);
}

TEST(CostScaleTest, FixedPointIsBounded) {
  EXPECT_EQ(ToQ16(1.0), 65536U);
  EXPECT_EQ(ToQ16(0.0), 16384U);
  EXPECT_EQ(ToQ16(1e9), 262144U);
}

}  // namespace
}  // namespace hami::gpu
