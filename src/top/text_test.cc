// SPDX-License-Identifier: Apache-2.0

#include "top/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kSecond = 1'000'000'000;

std::string TextOf(const Snapshot& snapshot, const PageOptions& options) {
  std::string text = "\n";
  for (const Line& line : PageOf(snapshot, options)) text += line.text + "\n";
  return text;
}

TEST(TopTextTest, AWidePage) {
  EXPECT_EQ(TextOf(FakeSnapshot(), {.width = 100}), R"(
hami top: 2 devices, 3 slices, 3 processes
driver 550.144.03
! broken: no region

GPU  NAME         USED/TOTAL  MEM%  BUSY  GRANTED  CORES  SLICES  UUID
  0  NVIDIA A10   6.0G/24.0G   25%   90%    14.0G    50%       2  GPU-aa
  -  NVIDIA H200           -     -     -     1.0G     0%       1  GPU-bb

SLICE       GPU  RUNG      MEM/LIMIT  MEM%  COMP/LIMIT  THROTTLED  NOW  REFUSED  PROCS  STATE
train         0  preload  4.0G/10.0G   40%     50%/50%      4m05s  40%        3      2
team-a/web    0  preload   2.0G/4.0G   50%       12%/-         0s   0%        0      1
broken        -  preload      -/1.0G     -         -/-          -    -        -      0  unreadable

 PID  SLICE       GPU   MEM  COMP  COMMAND
4711  train         0  3.0G   40%  python train.py
 (8)  train         0  1.0G     -  (ended, memory still counted)
5000  team-a/web    0  2.0G     -  nginx
)");
}

TEST(TopTextTest, ANarrowPage) {
  Snapshot snapshot = FakeSnapshot();
  snapshot.slices.pop_back();
  snapshot.notes.clear();
  EXPECT_EQ(TextOf(snapshot, {.width = 50, .view = "by memory"}), R"(
hami top: 2 devices, 2 slices, 3 processes; by
memory
driver 550.144.03

GPU  NAME         USED/TOTAL  BUSY  GRANTED  CORES
  0  NVIDIA A10   6.0G/24.0G   90%    14.0G    50%
  -  NVIDIA H200           -     -     1.0G     0%

SLICE       GPU   MEM/LIMIT  COMP/LIMIT  THROTTLED
train         0  4.0G/10.0G     50%/50%      4m05s
team-a/web    0   2.0G/4.0G       12%/-         0s

 PID  SLICE       GPU   MEM  COMP  COMMAND
4711  train         0  3.0G   40%  python train.py
 (8)  train         0  1.0G     -  (ended, memory~
5000  team-a/web    0  2.0G     -  nginx
)");
}

TEST(TopTextTest, NoLineIsWiderThanTold) {
  for (size_t width = kLeastWidth; width < 140; ++width) {
    for (const Line& line : PageOf(FakeSnapshot(), {.width = width})) {
      EXPECT_LE(line.text.size(), width) << line.text;
    }
  }
}

TEST(TopTextTest, WhatMarksALine) {
  const std::vector<Line> page = PageOf(FakeSnapshot(), {.width = 160});
  EXPECT_EQ(page[0].kind, LineKind::kTitle);
  EXPECT_EQ(page[2].kind, LineKind::kAlarm);
  EXPECT_EQ(page[4].kind, LineKind::kHeads);
}

TEST(TopTextTest, StatesAndLimitsThatAreOff) {
  Snapshot snapshot = FakeSnapshot();
  snapshot.slices[0].launches_held = true;
  snapshot.slices[0].cores_enforced = false;
  snapshot.slices[1].degraded = true;
  snapshot.simulation = "two A10";
  const std::string text = TextOf(snapshot, {.width = 160, .processes = false});
  EXPECT_THAT(text, HasSubstr("50%/50% off"));
  EXPECT_THAT(text, HasSubstr("held"));
  EXPECT_THAT(text, HasSubstr("degraded"));
  EXPECT_THAT(text, HasSubstr("simulated, no real GPU: two A10"));
  EXPECT_THAT(text, Not(HasSubstr("PID")));
}

TEST(TopTextTest, NothingToShow) {
  EXPECT_THAT(TextOf({}, {}), HasSubstr("No slice is in use."));
  EXPECT_THAT(TextOf({}, {.view = "filter gpu=1"}), HasSubstr("Nothing matches"));
}

TEST(TopTextTest, Amounts) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(kSecond / 4), "0.25s");
  EXPECT_EQ(FormatDuration(12 * kSecond), "12.0s");
  EXPECT_EQ(FormatDuration(245 * kSecond), "4m05s");
  EXPECT_EQ(FormatDuration(11'220 * kSecond), "3h07m");
  EXPECT_EQ(FormatDuration(187'200 * kSecond), "2d04h");
  EXPECT_EQ(FormatDuration(UINT64_MAX), "213503d23h");
  EXPECT_EQ(FormatPercent(std::nullopt), "-");
  EXPECT_EQ(FormatPercent(0), "0%");
  EXPECT_EQ(FormatPercent(2.5), "2.5%");
  EXPECT_EQ(FormatPercent(99.96), "100%");
  EXPECT_EQ(FormatShortBytes(0), "0");
  EXPECT_EQ(FormatShortBytes(2048), "2K");
  EXPECT_EQ(FormatShortBytes(uint64_t{512} << 20), "512M");
  EXPECT_EQ(FormatShortBytes((uint64_t{1} << 30) - 1), "1.0G");
  EXPECT_EQ(FormatShortBytes(UINT64_MAX), "16.0E");
}

}  // namespace
}  // namespace hami::top
