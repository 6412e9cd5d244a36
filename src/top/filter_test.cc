// SPDX-License-Identifier: Apache-2.0

#include "top/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Snapshot Filtered(std::string_view text) {
  Snapshot snapshot = FakeSnapshot();
  const Result<std::vector<FilterTerm>> terms = ParseFilter(text);
  EXPECT_TRUE(terms) << text;
  if (terms) ApplyFilter(*terms, &snapshot);
  return snapshot;
}

std::vector<std::string> SlicesOf(const Snapshot& snapshot) {
  std::vector<std::string> names;
  for (const Slice& slice : snapshot.slices) names.push_back(slice.name);
  return names;
}

std::vector<std::string> DevicesOf(const Snapshot& snapshot) {
  std::vector<std::string> uuids;
  for (const Device& device : snapshot.devices) uuids.push_back(device.uuid);
  return uuids;
}

TEST(TopFilterTest, Terms) {
  EXPECT_EQ(*ParseFilterTerm("Train"), (FilterTerm{FilterKey::kAny, "train"}));
  EXPECT_EQ(*ParseFilterTerm("gpu=0"), (FilterTerm{FilterKey::kGpu, "0"}));
  EXPECT_THAT(*ParseFilter("  a  kind=run "), SizeIs(2));
  for (const char* const wrong : {"colour=red", "gpu=", "pid=abc", "pid=1x", "=x"}) {
    EXPECT_FALSE(ParseFilterTerm(wrong)) << wrong;
  }
}

TEST(TopFilterTest, NothingToFilterLeavesAll) {
  EXPECT_THAT(SlicesOf(Filtered("")), SizeIs(3));
  EXPECT_THAT(DevicesOf(Filtered("")), SizeIs(2));
}

TEST(TopFilterTest, SlicesByTheirNamesAndDevices) {
  EXPECT_THAT(SlicesOf(Filtered("TEAM-A")), ElementsAre("team-a/web"));
  EXPECT_THAT(SlicesOf(Filtered("gpu=0")), ElementsAre("train", "team-a/web"));
  EXPECT_THAT(SlicesOf(Filtered("gpu=gpu-BB")), ElementsAre("broken"));
  EXPECT_THAT(SlicesOf(Filtered("kind=claim")), ElementsAre("team-a/web"));
  EXPECT_THAT(SlicesOf(Filtered("rung=preload")), SizeIs(3));
  EXPECT_THAT(SlicesOf(Filtered("gpu=0 slice=web")), ElementsAre("team-a/web"));
  EXPECT_THAT(DevicesOf(Filtered("gpu=0")), ElementsAre("GPU-aa"));
}

TEST(TopFilterTest, ProcessesWithTheirSlice) {
  const Snapshot by_pid = Filtered("pid=4711");
  EXPECT_THAT(SlicesOf(by_pid), ElementsAre("train"));
  EXPECT_THAT(by_pid.slices[0].processes, SizeIs(1));
  EXPECT_THAT(DevicesOf(by_pid), ElementsAre("GPU-aa"));
  // A slice that is meant itself keeps all of them.
  EXPECT_THAT(Filtered("slice=train").slices[0].processes, SizeIs(2));
  EXPECT_THAT(Filtered("train.py").slices[0].processes, SizeIs(1));
  EXPECT_THAT(Filtered("slice=train nginx").slices, IsEmpty());
}

TEST(TopFilterTest, ADeviceByItself) {
  Snapshot snapshot = FakeSnapshot();
  snapshot.slices.clear();
  ApplyFilter(*ParseFilter("h200"), &snapshot);
  EXPECT_THAT(DevicesOf(snapshot), ElementsAre("GPU-bb"));
}

}  // namespace
}  // namespace hami::top
