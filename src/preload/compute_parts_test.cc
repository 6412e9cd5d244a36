// SPDX-License-Identifier: Apache-2.0
//
// The pure parts of the compute limit: bucket, learnt costs, overlap. The whole is measured on the
// simulated driver by `./dev bench cores` and tests/component/preload.

#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

#include "preload/bucket.h"
#include "preload/costs.h"
#include "preload/overlap.h"

namespace hami::preload {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kNow = 1'000'000 * kMs;

TEST(Bucket, FirstGrantIsAtOnceAndTheNextWaitsForItsShare) {
  api::DeviceExtension device = {};
  EXPECT_LE(TakeGpuTime(device, 10 * kMs, 50, kNow), kNow);
  // 10 ms at 50 % are earned in 20 ms; what had been saved up counts.
  EXPECT_EQ(TakeGpuTime(device, 10 * kMs, 50, kNow), kNow - kBurstNs + 20 * kMs);
  EXPECT_EQ(device.charged_gpu_ns, 20 * kMs);
}

TEST(Bucket, OverTimeTheShareIsExact) {
  for (const uint32_t rate : {1U, 10U, 30U, 50U, 80U, 99U}) {
    api::DeviceExtension device = {};
    uint64_t now = kNow;
    uint64_t used = 0;
    TakeGpuTime(device, kBurstNs * rate / 100, rate, now);  // what was saved up at the start
    while (now < kNow + 10'000 * kMs) {
      const uint64_t go = TakeGpuTime(device, 3 * kMs, rate, now);
      if (go > now) now = go;
      used += 3 * kMs;
    }
    const double share = 100.0 * static_cast<double>(used) / static_cast<double>(now - kNow);
    EXPECT_NEAR(share, rate, 0.3) << rate << " %";
  }
}

TEST(Bucket, IdleTimeIsSavedUpToTheBurstOnly) {
  api::DeviceExtension device = {};
  TakeGpuTime(device, 1 * kMs, 50, kNow);
  const uint64_t later = kNow + 3'600'000 * kMs;
  TakeGpuTime(device, kBurstNs, 100, later);
  EXPECT_EQ(NextFreeNs(device), later);
}

TEST(Bucket, ANewRateStretchesWhatIsStillToBeEarned) {
  api::DeviceExtension device = {};
  TakeGpuTime(device, kBurstNs / 10, 10, kNow);  // what was saved up
  TakeGpuTime(device, 10 * kMs, 10, kNow);
  EXPECT_EQ(NextFreeNs(device), kNow + 100 * kMs);
  FollowRate(device, 50, kNow);  // 10 ms of GPU time are still owed
  EXPECT_EQ(NextFreeNs(device), kNow + 20 * kMs);
  FollowRate(device, 5, kNow + 10 * kMs);  // and now 5
  EXPECT_EQ(NextFreeNs(device), kNow + 110 * kMs);
  // A grant does the same.
  EXPECT_EQ(TakeGpuTime(device, 0, 50, kNow + 10 * kMs), kNow + 20 * kMs);
}

TEST(Bucket, ANewRateDoesNotTouchWhatIsSavedUp) {
  api::DeviceExtension device = {};
  TakeGpuTime(device, kMs, 10, kNow);
  const uint64_t moment = NextFreeNs(device);
  ASSERT_LT(moment, kNow);
  FollowRate(device, 100, kNow);
  EXPECT_EQ(NextFreeNs(device), moment);
}

TEST(Bucket, LittleIdleTimeCountsWhereLittleIsAskedFor) {
  api::DeviceExtension device = {};
  EXPECT_EQ(TakeGpuTime(device, kMs, 100, kNow, 2 * kMs), kNow - 2 * kMs);
}

// As a share's that had one launch of an hour.
TEST(Bucket, ALongDebtIsLetOffTheRest) {
  api::DeviceExtension device = {};
  TakeGpuTime(device, 3'600'000 * kMs, 50, kNow);
  EXPECT_EQ(TakeGpuTime(device, kMs, 50, kNow), kNow + 600'000 * kMs);
  EXPECT_EQ(device.disturbed, 0U);
}

// No launch is so long: a stranger wrote it, and nobody waits for that.
TEST(Bucket, AWordOfNoLibraryIsAsInANewRegion) {
  for (const uint64_t word : {~uint64_t{0}, kNow + 200'000'000 * kMs, kNow * kNow, kNow + 101}) {
    api::DeviceExtension device = {};
    device.next_free_ns = word;
    EXPECT_EQ(TakeGpuTime(device, kMs, 50, kNow), kNow - kBurstNs) << word;
    EXPECT_EQ(TakeGpuTime(device, kMs, 50, kNow), kNow - kBurstNs + 2 * kMs) << word;
    EXPECT_EQ(device.disturbed, 1U) << word;
    device.next_free_ns = word;
    FollowRate(device, 50, kNow);
    EXPECT_LE(NextFreeNs(device), kNow) << word;
  }
}

TEST(Bucket, AGrantBeyondAllMeasureIsBounded) {
  api::DeviceExtension device = {};
  TakeGpuTime(device, ~uint64_t{0}, 1, kNow);
  EXPECT_EQ(TakeGpuTime(device, kMs, 1, kNow), kNow + 600'000 * kMs);
}

TEST(Bucket, ThreadsShareOneRate) {
  api::DeviceExtension device = {};
  TakeGpuTime(device, kBurstNs / 2, 50, kNow);
  std::vector<std::thread> team;
  for (int t = 0; t < 4; ++t) {
    team.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) TakeGpuTime(device, 6400, 50, kNow);
    });
  }
  for (std::thread& thread : team) thread.join();
  EXPECT_EQ(NextFreeNs(device), kNow + 4UL * 1000 * 12800);
}

TEST(Costs, LowerClusterLeavesOutIntervalsWithAForeignSlice) {
  // A 100 us kernel; a neighbour's 2 ms slice fell into three of eight samples.
  const uint64_t samples[] = {100'000,   104'000, 2'100'000, 98'000,
                              2'090'000, 102'000, 2'110'000, 96'000};
  EXPECT_EQ(LowerClusterMean(samples, 8), 100'000U);
}

TEST(Costs, VaryingKernelsAloneAreAveraged) {
  const uint64_t samples[] = {10'000, 20'000, 30'000, 40'000};
  EXPECT_EQ(LowerClusterMean(samples, 4), 25'000U);
}

TEST(Costs, LearnsSettlesAndForgets) {
  ResetCosts();
  const uint64_t key = CostKey({&key, {1, 2, 3}, {4, 5, 6}, 7});
  Cost* cost = FindCost(key);
  ASSERT_EQ(FindCost(key), cost);
  EXPECT_EQ(PeekSettledCost(key), 0U);
  // Three launches were charged 20 us each before the first measurement said 5 ms.
  cost->guessed_launches = 3;
  cost->guessed_ns = 60'000;
  EXPECT_EQ(AddCostSample(*cost, 5'000'000, Neighbours::kUnknown), 15'000'000U - 60'000U);
  EXPECT_EQ(AddCostSample(*cost, 5'000'000, Neighbours::kUnknown), 0U);
  EXPECT_EQ(PeekSettledCost(key), 0U) << "two samples do not settle a cost";
  AddCostSample(*cost, 5'000'000, Neighbours::kUnknown);
  AddCostSample(*cost, 5'000'000, Neighbours::kUnknown);
  EXPECT_EQ(PeekSettledCost(key), 5'000'000U);
  ForgetCost(key);
  EXPECT_EQ(PeekSettledCost(key), 0U);
  EXPECT_EQ(FindCost(key)->cost_ns, 0U);
}

TEST(Costs, OtherDataIsLearntAfterAFewSamples) {
  ResetCosts();
  const uint64_t key = CostKey({&key, {1, 1, 1}, {1, 1, 1}, 0});
  Cost& cost = *FindCost(key);
  for (int i = 0; i < 16; ++i) AddCostSample(cost, 1'000'000, Neighbours::kUnknown);
  for (int i = 0; i < 3; ++i) AddCostSample(cost, 20'000'000, Neighbours::kUnknown);
  EXPECT_EQ(cost.cost_ns, 1'000'000U) << "three could be neighbours' slices";
  AddCostSample(cost, 20'000'000, Neighbours::kUnknown);
  EXPECT_EQ(cost.cost_ns, 20'000'000U);
  // Beside idle neighbours one is enough.
  for (int i = 0; i < 4; ++i) AddCostSample(cost, 20'000'000, Neighbours::kIdle);
  AddCostSample(cost, 5'000'000, Neighbours::kIdle);
  EXPECT_EQ(cost.cost_ns, 5'000'000U);
  ResetCosts();
}

// The host took 15 us to launch a kernel of 10 us and to record the events around it.
TEST(Costs, WhatTheHostTookIsForgottenWithTheFirstExactInterval) {
  ResetCosts();
  const uint64_t key = CostKey({&key, {1, 1, 1}, {1, 1, 1}, 0});
  Cost& cost = *FindCost(key);
  for (int i = 0; i < 8; ++i) AddCostSample(cost, 15'000, Neighbours::kUnknown, /*is_exact=*/false);
  EXPECT_EQ(PeekSettledCost(key), 15'000U);
  AddCostSample(cost, 10'000, Neighbours::kUnknown, true);
  EXPECT_EQ(PeekSettledCost(key), 10'000U);
  for (int i = 0; i < 8; ++i) AddCostSample(cost, 15'000, Neighbours::kUnknown, false);
  EXPECT_EQ(PeekSettledCost(key), 10'000U);
  // It is at most what was measured, so less says something.
  for (int i = 0; i < 20; ++i) AddCostSample(cost, 6'000, Neighbours::kUnknown, false);
  EXPECT_EQ(PeekSettledCost(key), 6'000U);
  ResetCosts();
}

// The host was kept from the CPU after it had launched: what it took for the time until the launch
// began was the launch.
TEST(Costs, AHostThatIsNotLetRunMakesNothingCheaper) {
  constexpr uint64_t kLacks = 250'000;
  ResetCosts();
  const uint64_t key = CostKey({&key, {1, 1, 1}, {1, 1, 1}, 0});
  Cost& cost = *FindCost(key);
  const auto add_inexact = [&cost](uint64_t interval_ns) {
    for (int i = 0; i < 20; ++i) {
      AddCostSample(cost, interval_ns, Neighbours::kIdle, /*is_exact=*/false, kLacks);
    }
  };
  add_inexact(750'000);
  EXPECT_EQ(PeekSettledCost(key), 750'000U + 750'000 / 4);
  for (int i = 0; i < 4; ++i) AddCostSample(cost, 1'000'000, Neighbours::kIdle);
  EXPECT_EQ(PeekSettledCost(key), 1'000'000U);
  add_inexact(750'000);
  EXPECT_EQ(PeekSettledCost(key), 1'000'000U);
  add_inexact(400'000);  // shorter for sure
  EXPECT_EQ(PeekSettledCost(key), 500'000U);
  ResetCosts();
}

TEST(Costs, WhatWasLearntBesideIdleNeighboursIsKeptUntilTheAgentSaysOtherwise) {
  ResetCosts();
  const uint64_t key = CostKey({&key, {1, 1, 1}, {1, 1, 1}, 0});
  Cost& cost = *FindCost(key);
  for (int i = 0; i < 8; ++i) AddCostSample(cost, 20'000'000, Neighbours::kIdle);
  for (int i = 0; i < 1000; ++i) AddCostSample(cost, 40'000'000, Neighbours::kBusy);
  EXPECT_EQ(PeekSettledCost(key), 20'000'000U);
  // A few slices in a long launch are neighbours' too.
  for (int i = 0; i < 100; ++i) AddCostSample(cost, 25'000'000, Neighbours::kBusy);
  EXPECT_EQ(PeekSettledCost(key), 20'000'000U);
  AddCostSample(cost, 40'000'000, Neighbours::kBusyUndercharged);
  EXPECT_EQ(cost.cost_ns, 40'000'000U);
  // More than neighbours can be is the kernel's own.
  for (int i = 0; i < 4; ++i) AddCostSample(cost, 40'000'000, Neighbours::kIdle);
  for (int i = 0; i < 4; ++i) AddCostSample(cost, 900'000'000, Neighbours::kBusy);
  EXPECT_EQ(cost.cost_ns, 900'000'000U);
  ResetCosts();
}

TEST(Costs, BesideBusyNeighboursOnlyWhatIsShorterIsNews) {
  ResetCosts();
  const uint64_t key = CostKey({&key, {1, 1, 1}, {1, 1, 1}, 0});
  Cost& cost = *FindCost(key);
  for (int i = 0; i < 8; ++i) AddCostSample(cost, 20'000'000, Neighbours::kIdle);
  for (int i = 0; i < 16; ++i) AddCostSample(cost, 8'000'000, Neighbours::kBusy);
  EXPECT_EQ(PeekSettledCost(key), 8'000'000U);
  ResetCosts();
}

TEST(Costs, AFullTableStillAnswers) {
  ResetCosts();
  for (uint64_t key = 1; key < 20000; key += 2) ASSERT_NE(FindCost(key), nullptr);
  ResetCosts();
}

TEST(Costs, EveryPartOfTheShapeIsInTheKey) {
  const int function = 0;
  const LaunchShape shape = {&function, {1, 2, 3}, {4, 5, 6}, 7};
  const uint64_t key = CostKey(shape);
  for (int part = 0; part < 7; ++part) {
    LaunchShape other = shape;
    (part < 3 ? other.grid[part] : part < 6 ? other.block[part - 3] : other.shared_bytes) += 1;
    EXPECT_NE(CostKey(other), key) << part;
  }
}

// Launches of length `length` that start `step` apart: `count` of them.
std::vector<Interval> Staggered(int count, uint64_t step, uint64_t length) {
  std::vector<Interval> intervals;
  for (int i = 0; i < count; ++i) {
    const uint64_t begin = static_cast<uint64_t>(i) * step;
    intervals.push_back({begin, begin + length, length});
  }
  return intervals;
}

TEST(Overlap, OneStreamHasNone) {
  std::vector<Interval> serial = Staggered(32, 1000, 1000);
  EXPECT_EQ(UnionOverCharge(serial.data(), 32), kNoOverlapQ16);
  std::vector<Interval> gaps = Staggered(32, 5000, 1000);
  EXPECT_EQ(UnionOverCharge(gaps.data(), 32), kNoOverlapQ16);
}

TEST(Overlap, EightStreamsPayOnce) {
  // Eight in flight, one finishing every eighth of a length.
  std::vector<Interval> eight = Staggered(32, 1000, 8000);
  EXPECT_NEAR(UnionOverCharge(eight.data(), 32), kNoOverlapQ16 / 8.0, 2);
}

TEST(Overlap, TheOrderOfTheIntervalsDoesNotMatter) {
  std::vector<Interval> mixed = Staggered(16, 1000, 4000);
  std::swap(mixed[0], mixed[9]);
  std::swap(mixed[3], mixed[12]);
  EXPECT_NEAR(UnionOverCharge(mixed.data(), 16), kNoOverlapQ16 / 4.0, 2);
}

TEST(Overlap, AWindowIsCollectedOnlyWithSeveralStreams) {
  OverlapWindow window;
  int stream_a = 0;
  int stream_b = 0;
  uint64_t now = 1000 * kMs;
  window.NoteStream(&stream_a, false);
  EXPECT_FALSE(window.Wants(now));
  EXPECT_EQ(window.Join(now), -1);
  window.NoteStream(&stream_b, false);
  EXPECT_TRUE(window.Wants(now));
  for (int i = 0; i < kWindowLaunches; ++i) EXPECT_EQ(window.Join(now), i);
  EXPECT_EQ(window.Join(now), -1) << "full";
  std::vector<Interval> eight = Staggered(kWindowLaunches, 1000, 8000);
  for (int i = 0; i + 1 < kWindowLaunches; ++i)
    EXPECT_FALSE(window.Finish(eight[static_cast<size_t>(i)]));
  EXPECT_TRUE(window.Finish(eight.back()));
  EXPECT_LT(OverlapFactorQ16(), kNoOverlapQ16);
  ResetOverlap();
}

}  // namespace
}  // namespace hami::preload
