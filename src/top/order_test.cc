// SPDX-License-Identifier: Apache-2.0

#include "top/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Ordered(SortKey key, bool reversed = false) {
  Snapshot snapshot = FakeSnapshot();
  ApplyOrder({key, reversed}, &snapshot);
  std::vector<std::string> names;
  for (const Slice& slice : snapshot.slices) names.push_back(slice.name);
  return names;
}

TEST(TopOrderTest, Names) {
  for (const char* const name : {"gpu", "name", "memory", "compute", "throttled", "refused"}) {
    const Result<SortKey> key = ParseSortKey(name);
    ASSERT_TRUE(key) << name;
    EXPECT_EQ(SortKeyName(*key), name);
  }
  EXPECT_FALSE(ParseSortKey("Memory"));
}

TEST(TopOrderTest, Slices) {
  // A slice of a device without index comes last.
  EXPECT_THAT(Ordered(SortKey::kGpu), ElementsAre("team-a/web", "train", "broken"));
  EXPECT_THAT(Ordered(SortKey::kName), ElementsAre("broken", "team-a/web", "train"));
  EXPECT_THAT(Ordered(SortKey::kMemory), ElementsAre("train", "team-a/web", "broken"));
  EXPECT_THAT(Ordered(SortKey::kCompute), ElementsAre("train", "team-a/web", "broken"));
  EXPECT_THAT(Ordered(SortKey::kRefused)[0], "train");
  EXPECT_THAT(Ordered(SortKey::kMemory, true), ElementsAre("broken", "team-a/web", "train"));
}

TEST(TopOrderTest, WhoIsThrottledNowComesBeforeWhoWas) {
  Snapshot snapshot = FakeSnapshot();
  snapshot.slices[1].throttled_pct = 80;
  ApplyOrder({SortKey::kThrottled, false}, &snapshot);
  EXPECT_EQ(snapshot.slices[0].name, "team-a/web");
}

TEST(TopOrderTest, Processes) {
  Snapshot snapshot = FakeSnapshot();
  snapshot.slices[0].processes[1].used_bytes = UINT64_MAX;
  ApplyOrder({SortKey::kMemory, false}, &snapshot);
  EXPECT_EQ(snapshot.slices[0].processes[0].slot, 1);
  ApplyOrder({SortKey::kCompute, false}, &snapshot);
  EXPECT_EQ(snapshot.slices[0].processes[0].slot, 0);
}

}  // namespace
}  // namespace hami::top
