// SPDX-License-Identifier: Apache-2.0
//
// Properties of the timeline over random work, and what needs more than one device or lane;
// timeline_test.cc has the rules one by one.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "simgpu/state/fake_machine.h"
#include "simgpu/state/timeline.h"

namespace hami::simgpu {
namespace {

constexpr uint64_t kUs = 1000;
constexpr uint64_t kSliceNs = 1000 * kUs;  // of FakeMachine
constexpr uint32_t kWhole = 65536;

WorkItem Kernel(uint64_t ns, uint32_t demand = kWhole, uint64_t ready_ns = 0) {
  WorkItem item = {};
  item.kind = WorkKind::kKernel;
  item.remaining_ns = ns;
  item.demand_q16 = demand;
  item.ready_ns = ready_ns;
  return item;
}
WorkItem Copy(uint64_t ns, WorkKind kind) {
  WorkItem item = {};
  item.kind = kind;
  item.remaining_ns = ns;
  return item;
}

// A machine with a clock of the test's own. Nobody else uses it, so nothing is locked.
class Bench {
 public:
  Bench() : attached_(fake_), start_ns_(state().devices[0].now_ns) {}

  State& state() const { return attached_.state(); }
  uint32_t Open(uint32_t device = 0) const {
    return static_cast<uint32_t>(OpenContext(attached_.machine(), state(), device));
  }
  uint32_t OpenEvent() const {
    return static_cast<uint32_t>(OpenEventSlot(attached_.machine(), state()));
  }
  uint64_t At(uint64_t ns) const { return start_ns_ + ns; }
  void AdvanceTo(uint64_t ns) const { AdvanceAll(state(), At(ns)); }
  Place Put(uint32_t context, uint32_t lane, const WorkItem& item, uint64_t ns = 0) const {
    EXPECT_TRUE(Submit(state(), context, lane, item, At(ns)));
    return EndOfLane(state(), context, lane);
  }
  // When the lane's newest finished item ended.
  uint64_t DoneAt(const Place& place) const {
    return state().contexts[place.context].lanes[place.lane].last_done_ns - start_ns_;
  }
  bool Reached(const Place& place) const { return IsReached(state(), place); }

 private:
  FakeMachine fake_;
  AttachedMachine attached_;
  uint64_t start_ns_;
};

TEST(TimelineBenchTest, NothingStartsBeforeItIsReady) {
  const Bench bench;
  const Place place = bench.Put(bench.Open(), 1, Kernel(50 * kUs, kWhole, bench.At(7 * kUs)));
  bench.AdvanceTo(kSliceNs);
  EXPECT_EQ(bench.DoneAt(place), 57 * kUs);
  EXPECT_EQ(bench.state().devices[0].busy_ns, 50 * kUs);
}

TEST(TimelineBenchTest, StreamsShareTheDeviceAsFarAsItGoes) {
  const Bench bench;
  const uint32_t context = bench.Open();
  const Place half = bench.Put(context, 1, Kernel(50 * kUs, kWhole / 2));
  const Place other = bench.Put(context, 2, Kernel(60 * kUs, kWhole / 2));
  const Place third = bench.Put(context, 3, Kernel(10 * kUs, kWhole / 2));
  const Place copy = bench.Put(context, 4, Copy(20 * kUs, WorkKind::kCopyToHost));
  const Place same_way = bench.Put(context, 5, Copy(20 * kUs, WorkKind::kCopyToHost));
  const Place back = bench.Put(context, 6, Copy(20 * kUs, WorkKind::kCopyToDevice));
  bench.AdvanceTo(kSliceNs);
  EXPECT_EQ(bench.DoneAt(half), 50 * kUs);
  EXPECT_EQ(bench.DoneAt(other), 60 * kUs);
  EXPECT_EQ(bench.DoneAt(third), 60 * kUs);
  EXPECT_EQ(bench.DoneAt(copy), 20 * kUs);
  EXPECT_EQ(bench.DoneAt(same_way), 40 * kUs);
  EXPECT_EQ(bench.DoneAt(back), 20 * kUs);
}

TEST(TimelineBenchTest, DevicesRunSideBySide) {
  const Bench bench;
  const Place first = bench.Put(bench.Open(0), 1, Kernel(5 * kSliceNs));
  const Place second = bench.Put(bench.Open(1), 1, Kernel(5 * kSliceNs));
  bench.AdvanceTo(5 * kSliceNs);
  EXPECT_TRUE(bench.Reached(first));
  EXPECT_TRUE(bench.Reached(second));
}

TEST(TimelineBenchTest, AMarkNotesTheTimeForTheNewestRecordOnly) {
  const Bench bench;
  const uint32_t context = bench.Open();
  WorkItem mark = {};
  mark.kind = WorkKind::kMark;
  mark.mark = {bench.OpenEvent(), 1};
  EventSlot& slot = bench.state().events[mark.mark.slot];
  slot.record = 2;
  bench.Put(context, 1, Kernel(10 * kUs));
  bench.Put(context, 1, mark);
  bench.AdvanceTo(15 * kUs);
  EXPECT_EQ(slot.done_ns, 0U);
  mark.mark.record = 2;
  bench.Put(context, 1, Kernel(10 * kUs), 15 * kUs);
  bench.Put(context, 1, mark, 15 * kUs);
  bench.AdvanceTo(kSliceNs);
  EXPECT_EQ(slot.done_ns, bench.At(25 * kUs));
}

struct Step {
  uint64_t at_ns;
  uint32_t context;
  uint32_t lane;
  uint64_t ns;
  uint32_t demand;
  uint64_t delay_ns;
};

std::vector<Step> RandomSteps(std::minstd_rand& random) {
  std::vector<Step> steps;
  for (int i = 0; i < 300; ++i) {
    steps.push_back({random() % (20 * kSliceNs), static_cast<uint32_t>(random() % 4),
                     static_cast<uint32_t>(random() % kLanes), random() % (300 * kUs),
                     static_cast<uint32_t>(1 + random() % kWhole), random() % (5 * kUs)});
  }
  std::ranges::sort(steps, {}, &Step::at_ns);
  return steps;
}

// Runs the steps and looks now and then; the end of every lane, in the order of lanes.
std::vector<uint64_t> EndsOf(const std::vector<Step>& steps, uint64_t look_every_ns) {
  const Bench bench;
  std::vector<uint32_t> contexts;
  for (uint32_t i = 0; i < 4; ++i) contexts.push_back(bench.Open(i / 3));
  uint64_t looked_ns = 0;
  for (const Step& step : steps) {
    for (; looked_ns < step.at_ns; looked_ns += look_every_ns) bench.AdvanceTo(looked_ns);
    Advance(bench.state(), bench.state().contexts[contexts[step.context]].device,
            bench.At(step.at_ns));
    bench.Put(contexts[step.context], step.lane,
              Kernel(step.ns, step.demand, bench.At(step.at_ns + step.delay_ns)), step.at_ns);
  }
  bench.AdvanceTo(1000 * kSliceNs);
  std::vector<uint64_t> ends;
  for (const uint32_t context : contexts) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const Place end = EndOfLane(bench.state(), context, lane);
      EXPECT_TRUE(bench.Reached(end));
      ends.push_back(end.seq == 0 ? 0 : bench.DoneAt(end));
    }
  }
  return ends;
}

TEST(TimelinePropertyTest, TheResultDoesNotDependOnWhoLooksWhen) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    const std::vector<Step> steps = RandomSteps(random);
    const std::vector<uint64_t> rarely = EndsOf(steps, 100 * kSliceNs);
    EXPECT_EQ(EndsOf(steps, 37 * kUs + 1), rarely);
    EXPECT_EQ(EndsOf(steps, 3 * kSliceNs + 7), rarely);
  }
}

TEST(TimelinePropertyTest, NothingIsReachedBeforeTheEarliestTime) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    const Bench bench;
    std::vector<uint32_t> contexts = {bench.Open(), bench.Open(), bench.Open()};
    std::vector<Place> places;
    for (const Step& step : RandomSteps(random)) {
      places.push_back(bench.Put(contexts[step.context % 3], step.lane,
                                 Kernel(step.ns + 1, step.demand, bench.At(step.delay_ns))));
    }
    for (const Place& place : places) {
      for (int looks = 0; !bench.Reached(place); ++looks) {
        ASSERT_LT(looks, 10'000);
        const uint64_t now_ns = bench.state().devices[0].now_ns;
        const uint64_t earliest_ns = EarliestReach(bench.state(), place, now_ns);
        ASSERT_GT(earliest_ns, now_ns);
        Advance(bench.state(), 0, earliest_ns - 1);
        ASSERT_FALSE(bench.Reached(place));
        Advance(bench.state(), 0, earliest_ns);
      }
    }
  }
}

}  // namespace
}  // namespace hami::simgpu
