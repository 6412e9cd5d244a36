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

TEST(CostScaleTest, TheFirstStepGoesNearlyAllTheWayAndIsBounded) {
  EXPECT_NEAR(Learn({}, kSecondNs / 4, kSecondNs / 2).scale, 0.5, 0.03);
  EXPECT_LE(Learn({}, 10 * kSecondNs, kSecondNs / 10).scale, kMostCostScale);
  EXPECT_GE(Learn({}, 1, kSecondNs / 10).scale, kLeastCostScale);
}

TEST(CostScaleTest, OneOddSampleIsForgotten) {
  CostScale scale;
  for (int i = 0; i < 20; ++i) scale = Learn(scale, kSecondNs / 10, kSecondNs / 10);
  scale = Learn(scale, kSecondNs / 5, kSecondNs / 10);
  EXPECT_NEAR(scale.scale, 1.1, 0.02);
  for (int i = 0; i < 60; ++i) {
    scale = Learn(scale, kSecondNs / 10, static_cast<uint64_t>(1e8 * scale.scale));
  }
  EXPECT_NEAR(scale.scale, 1.0, 0.002);
}

TEST(CostScaleTest, LittleChargeIsGathered) {
  CostScale scale = Learn({}, 100'000'000, 40'000'000);
  EXPECT_DOUBLE_EQ(scale.scale, 1.0);
  scale = Learn(scale, 40'000'000, 40'000'000);
  EXPECT_GT(scale.scale, 1.3);
  EXPECT_EQ(scale.charged_ns, 0U);
}

// A kernel of 50 ms that takes 100 ms beside a neighbour: charged 100 ms in one look, seen to run
// in that one and the next.
TEST(CostScaleTest, ChargeAndWorkInDifferentLooksAreOnePair) {
  CostScale scale;
  for (int i = 0; i < 40; ++i) {
    scale = Learn(scale, 10'000'000, static_cast<uint64_t>(1e8 * scale.scale));
    scale = Learn(scale, 40'000'000, 0);
  }
  EXPECT_NEAR(scale.scale, 0.5, 0.05);
}

TEST(CostScaleTest, ChargeWithoutTruthTeachesNothing) {
  CostScale scale;
  for (int i = 0; i < 100; ++i) scale = Learn(scale, 0, kSecondNs);
  EXPECT_DOUBLE_EQ(scale.scale, 1.0);
}

TEST(CostScaleTest, WhatIsLearntBesideBusyNeighboursIsNotUsedBesideIdleOnes) {
  CostScales scales;
  for (int i = 0; i < 20; ++i) scales = Learn(scales, false, kSecondNs / 10, kSecondNs / 10);
  for (int i = 0; i < 20; ++i) {
    const double charged = 2e8 * scales.now().scale;
    scales = Learn(scales, true, kSecondNs / 10, static_cast<uint64_t>(charged));
  }
  EXPECT_NEAR(scales.now().scale, 0.5, 0.02);
  scales = Learn(scales, false, kSecondNs / 10, kSecondNs / 10);
  EXPECT_NEAR(scales.now().scale, 1.0, 0.02);
  scales = Learn(scales, true, kSecondNs / 10, kSecondNs / 10);
  EXPECT_NEAR(scales.now().scale, 0.5, 0.02);
}

CostScales LearnLooks(CostScales scales, int looks, bool is_busy, double charged_over_true) {
  for (int i = 0; i < looks; ++i) {
    const double charged = 1e8 * charged_over_true * scales.now().scale;
    scales = Learn(scales, is_busy, kSecondNs / 10, static_cast<uint64_t>(charged));
  }
  return scales;
}

// The library's first estimates, beside a busy neighbour, were twice too high; in idle time it
// learnt better ones, and keeps them.
TEST(CostScaleTest, WhatWasLearntBesideBusyNeighboursBeforeAnIdleTimeIsForgottenOnce) {
  CostScales scales = LearnLooks({}, 20, true, 2.0);
  EXPECT_NEAR(scales.now().scale, 0.5, 0.02);
  scales = LearnLooks(scales, 10, false, 1.0);
  scales = LearnLooks(scales, 1, true, 1.0);
  EXPECT_DOUBLE_EQ(scales.now().scale, 1.0);
  // It may be that estimates are never better.
  scales = LearnLooks(scales, 20, true, 2.0);
  scales = LearnLooks(scales, 10, false, 1.0);
  scales = LearnLooks(scales, 1, true, 2.0);
  EXPECT_NEAR(scales.now().scale, 0.5, 0.02);
}

TEST(CostScaleTest, IdleTimeInWhichNothingWasChargedTeachesNothing) {
  CostScales scales = LearnLooks({}, 20, true, 2.0);
  for (int i = 0; i < 10; ++i) scales = Learn(scales, false, 0, 0);
  scales = LearnLooks(scales, 1, true, 2.0);
  EXPECT_NEAR(scales.now().scale, 0.5, 0.02);
}

TEST(CostScaleTest, FixedPointIsBounded) {
  EXPECT_EQ(ToQ16(1.0), 65536U);
  EXPECT_EQ(ToQ16(0.0), 16384U);
  EXPECT_EQ(ToQ16(1e9), 262144U);
}

}  // namespace
}  // namespace hami::gpu
