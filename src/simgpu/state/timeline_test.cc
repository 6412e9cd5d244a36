// SPDX-License-Identifier: Apache-2.0
//
// The device's time, computed from a state in memory with times of the test's own: no clock, no
// second process.

#include "simgpu/state/timeline.h"

#include <gtest/gtest.h>

#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kStart = 1'000 * kMs;
constexpr uint32_t kWhole = 65536;

class TimelineTest : public testing::Test {
 protected:
  TimelineTest() : state_(static_cast<State*>(os::MapPrivate(sizeof(State), true))) {
    state_->config.device_count = 1;
    state_->config.devices[0].time_slice_ns = 2 * kMs;
    state_->devices[0].current = -1;
    state_->devices[0].now_ns = kStart;
    machine_.state = state_;
  }
  ~TimelineTest() override { os::Unmap(state_, sizeof(State)); }

  uint32_t NewContext(uint32_t client) {
    machine_.client = client;
    state_->clients[client].in_use = 1;
    if (state_->clients_high <= client) state_->clients_high = client + 1;
    return static_cast<uint32_t>(OpenContext(machine_, *state_, 0));
  }

  Place Kernel(uint32_t context, uint32_t lane, uint64_t ns, uint32_t demand = kWhole) {
    WorkItem item = {};
    item.kind = WorkKind::kKernel;
    item.remaining_ns = ns;
    item.demand_q16 = demand & 0x7fffffff;
    EXPECT_TRUE(Submit(*state_, context, lane, item, kStart));
    return EndOfLane(*state_, context, lane);
  }

  // When the place was reached, to the nearest `step_ns`.
  uint64_t ReachedAfter(const Place& place, uint64_t step_ns = kMs / 10) {
    for (uint64_t now = kStart; now < kStart + 10'000 * kMs; now += step_ns) {
      Advance(*state_, 0, now);
      if (IsReached(*state_, place)) return now - kStart;
    }
    return UINT64_MAX;
  }

  State* state_;
  Machine machine_;
};

TEST_F(TimelineTest, AStreamGoesOnInOrder) {
  const uint32_t context = NewContext(0);
  const Place first = Kernel(context, 21, 3 * kMs);
  const Place second = Kernel(context, 21, 4 * kMs);
  Advance(*state_, 0, kStart + 3 * kMs - 1);
  EXPECT_FALSE(IsReached(*state_, first));
  Advance(*state_, 0, kStart + 3 * kMs);
  EXPECT_TRUE(IsReached(*state_, first));
  EXPECT_FALSE(IsReached(*state_, second));
  Advance(*state_, 0, kStart + 7 * kMs);
  EXPECT_TRUE(IsReached(*state_, second));
  EXPECT_EQ(state_->clients[0].devices[0].busy_ns, 7 * kMs);
}

TEST_F(TimelineTest, KernelsThatFitRunTogether) {
  const uint32_t context = NewContext(0);
  const Place a = Kernel(context, 21, 4 * kMs, kWhole / 2);
  const Place b = Kernel(context, 22, 4 * kMs, kWhole / 2);
  const Place c = Kernel(context, 23, 4 * kMs, kWhole / 2);
  EXPECT_EQ(ReachedAfter(a), 4 * kMs);
  EXPECT_TRUE(IsReached(*state_, b));
  EXPECT_FALSE(IsReached(*state_, c));
  EXPECT_EQ(ReachedAfter(c), 8 * kMs);
  EXPECT_EQ(state_->clients[0].devices[0].busy_ns, 8 * kMs) << "time, not the sum of kernels";
}

TEST_F(TimelineTest, TheLegacyStreamWaitsAndIsWaitedFor) {
  const uint32_t context = NewContext(0);
  Kernel(context, 1, 5 * kMs, kWhole / 4);  // blocking
  const Place legacy = Kernel(context, kLegacyLane, kMs, kWhole / 4);
  const Place after = Kernel(context, 2, kMs, kWhole / 4);         // blocking, later
  const Place free_stream = Kernel(context, 21, kMs, kWhole / 4);  // non-blocking
  EXPECT_EQ(ReachedAfter(free_stream), kMs);
  EXPECT_EQ(ReachedAfter(legacy), 6 * kMs);
  EXPECT_EQ(ReachedAfter(after), 7 * kMs);
}

TEST_F(TimelineTest, ContextsTakeTurnsAndTheirTimesAddUp) {
  const uint32_t a = NewContext(0);
  const uint32_t b = NewContext(1);
  Place end_a = {};
  Place end_b = {};
  for (int i = 0; i < 20; ++i) end_a = Kernel(a, 21, kMs);
  for (int i = 0; i < 20; ++i) end_b = Kernel(b, 21, kMs);
  Advance(*state_, 0, kStart + 8 * kMs);
  EXPECT_EQ(state_->clients[0].devices[0].busy_ns, 4 * kMs);
  EXPECT_EQ(state_->clients[1].devices[0].busy_ns, 4 * kMs);
  EXPECT_EQ(ReachedAfter(end_b), 40 * kMs);
  EXPECT_TRUE(IsReached(*state_, end_a));
  EXPECT_EQ(state_->devices[0].busy_ns, 40 * kMs);
}

TEST_F(TimelineTest, AnIdleContextGivesUpItsSlice) {
  const uint32_t a = NewContext(0);
  const uint32_t b = NewContext(1);
  Kernel(a, 21, kMs / 2);
  const Place end = Kernel(b, 21, 10 * kMs);
  EXPECT_EQ(ReachedAfter(end), 10 * kMs + kMs / 2);
}

TEST_F(TimelineTest, AnIntervalBetweenEventsContainsTheNeighboursSlices) {
  const uint32_t a = NewContext(0);
  const uint32_t b = NewContext(1);
  for (int i = 0; i < 20; ++i) Kernel(b, 21, kMs);
  const auto mark = [&](uint32_t slot) {
    state_->events[slot].record = 1;
    WorkItem item = {};
    item.kind = WorkKind::kMark;
    item.mark = {slot, 1};
    ASSERT_TRUE(Submit(*state_, a, 21, item, kStart));
  };
  mark(0);
  Kernel(a, 21, 6 * kMs);
  mark(1);
  Advance(*state_, 0, kStart + 100 * kMs);
  const uint64_t interval_ns = state_->events[1].done_ns - state_->events[0].done_ns;
  EXPECT_GE(interval_ns, 10 * kMs) << "6 ms in slices of 2 with two of the neighbour's between";
  EXPECT_LE(interval_ns, 12 * kMs);
}

TEST_F(TimelineTest, AWaitForAnotherContextEndsWhenItsPlaceIsReached) {
  const uint32_t a = NewContext(0);
  const uint32_t b = NewContext(1);
  WorkItem wait = {};
  wait.kind = WorkKind::kWait;
  wait.wait = Kernel(a, 21, 5 * kMs);
  ASSERT_TRUE(Submit(*state_, b, 21, wait, kStart));
  const Place end = Kernel(b, 21, kMs);
  EXPECT_EQ(ReachedAfter(end), 6 * kMs);
}

TEST_F(TimelineTest, NobodyWaitsForAContextThatIsGone) {
  const uint32_t a = NewContext(0);
  const Place place = Kernel(a, 21, 1'000 * kMs);
  CloseContext(*state_, a);
  EXPECT_TRUE(IsReached(*state_, place));
  EXPECT_EQ(state_->devices[0].active[0], 0U);
}

TEST_F(TimelineTest, AFullLaneRefuses) {
  const uint32_t context = NewContext(0);
  for (uint32_t i = 0; i < kLaneItems; ++i) Kernel(context, 21, kMs);
  WorkItem item = {};
  item.kind = WorkKind::kKernel;
  item.remaining_ns = kMs;
  EXPECT_FALSE(Submit(*state_, context, 21, item, kStart));
  Advance(*state_, 0, kStart + kMs);
  EXPECT_TRUE(Submit(*state_, context, 21, item, kStart + kMs));
}

TEST_F(TimelineTest, TheLowerBoundIsNeverLate) {
  const uint32_t a = NewContext(0);
  const uint32_t b = NewContext(1);
  for (int i = 0; i < 10; ++i) Kernel(a, 21, 300'000);
  const Place end = Kernel(b, 21, 3 * kMs);
  const uint64_t reached_ns = kStart + 6 * kMs;
  for (uint64_t now = kStart; now < reached_ns; now += 70'000) {
    Advance(*state_, 0, now);
    if (IsReached(*state_, end)) break;
    const uint64_t bound = EarliestReach(*state_, end, now);
    EXPECT_GT(bound, now);
    EXPECT_LE(bound, reached_ns);
  }
  EXPECT_EQ(ReachedAfter(end), 6 * kMs);
}

TEST_F(TimelineTest, UtilisationIsThatOfTheLastFullPeriod) {
  const uint32_t context = NewContext(0);
  const uint64_t period = kStart / kLoadPeriodNs + 1;
  Advance(*state_, 0, period * kLoadPeriodNs);
  WorkItem item = {};
  item.kind = WorkKind::kKernel;
  item.remaining_ns = kLoadPeriodNs / 2;
  ASSERT_TRUE(Submit(*state_, context, 21, item, period * kLoadPeriodNs));
  const uint64_t later = (period + 1) * kLoadPeriodNs + kMs;
  Advance(*state_, 0, later);
  EXPECT_NEAR(static_cast<double>(BusyInLastPeriod(state_->clients[0].devices[0].load, later)),
              static_cast<double>(kLoadPeriodNs) / 2, 10.0);
  Advance(*state_, 0, later + kLoadPeriodNs);
  EXPECT_EQ(BusyInLastPeriod(state_->clients[0].devices[0].load, later + kLoadPeriodNs), 0U);
}

}  // namespace
}  // namespace hami::simgpu
