// SPDX-License-Identifier: Apache-2.0
//
// Enflame: profiles of DRS cards, the older percentages.

#include <gtest/gtest.h>

#include "placement/rules/fake_rules.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

domain::Node DrsNode(int slices = 6,
                     const std::string& profiles = R"("1g.6gb":"0","3g.20gb":"1","6g.40gb":"2")") {
  return Announced("drs", "enflame.com/gcu-drs-capacity",
                   R"({"devices":[{"index":"0","minor":"0","capacity":)" + std::to_string(slices) +
                       R"(}],"profiles":{)" + profiles + "}}");
}

TEST_F(RulesTest, EnflameSlicesAreCountedAlsoOfPodsReadBack) {
  AddNode(DrsNode());
  ASSERT_FALSE(Put(PodOf({{{"enflame.com/drs-gcu", "3"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].shape, "3g.20gb");
  EXPECT_EQ(slices_[0].memory_mib, 20480);
  EXPECT_EQ(slices_[0].cores, 50);
  ASSERT_FALSE(Put(PodOf({{{"enflame.com/drs-gcu", "3"}}})).empty()) << why_;
  EXPECT_EQ(cluster_.UseOf("drs")[0].slots, 6);
  EXPECT_TRUE(Put(PodOf({{{"enflame.com/drs-gcu", "1"}}})).empty());
}

TEST_F(RulesTest, EnflameSmallSlicesFillACard) {
  AddNode(DrsNode());
  for (int i = 0; i < 6; ++i) {
    ASSERT_FALSE(Put(PodOf({{{"enflame.com/drs-gcu", "1"}}})).empty()) << i << why_;
    EXPECT_EQ(slices_[0].cores, 17) << "100 / 6, rounded up";
  }
}

// A third of the cores is 34 % of them, three times.
TEST_F(RulesTest, EnflameRoundedCoresLeaveTheLastSliceUsable) {
  AddNode(DrsNode(3, R"("1g.8gb":"0","3g.24gb":"1")"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(Put(PodOf({{{"enflame.com/gcu-core", "34"}}})).empty()) << i << why_;
    EXPECT_EQ(slices_[0].shape, "1g.8gb");
  }
}

TEST_F(RulesTest, EnflameMemoryBoundsWhereSlicesAreLeft) {
  AddNode(DrsNode(2, R"("1g.16gb":"0","2g.24gb":"1")"));
  ASSERT_FALSE(Put(PodOf({{{"enflame.com/drs-gcu", "1"}}})).empty()) << why_;
  EXPECT_TRUE(Put(PodOf({{{"enflame.com/drs-gcu", "1"}}})).empty()) << "32 GiB of 24";
  EXPECT_TRUE(Says("CardInsufficientMemory")) << why_;
}

// By slices, not by the letters of the name.
TEST_F(RulesTest, EnflameProfilesAreOrderedByTheirSize) {
  AddNode(DrsNode(10, R"("10g.80gb":"1","2g.16gb":"0")"));
  ASSERT_FALSE(Put(PodOf({{{"enflame.com/gcu-memory", "10"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].shape, "2g.16gb");
}

TEST_F(RulesTest, EnflameDrsCardsAreNotSharedInPercent) {
  AddNode(DrsNode());
  EXPECT_TRUE(
      Put(PodOf({{{"enflame.com/vgcu", "1"}, {"enflame.com/vgcu-percentage", "22"}}})).empty());
  EXPECT_TRUE(Says("ModeNotFit")) << why_;
}

// Up to twice the largest profile a number is GiB, from there on MiB.
TEST_F(RulesTest, EnflameMemoryIsGibUntilItCannotBe) {
  AddNode(DrsNode());
  EXPECT_TRUE(Put(PodOf({{{"enflame.com/gcu-memory", "80"}}})).empty());
  EXPECT_TRUE(Says("ModeNotFit")) << why_;
  ASSERT_FALSE(Put(PodOf({{{"enflame.com/gcu-memory", "81"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].shape, "1g.6gb");
  ASSERT_FALSE(
      Put(PodOf({{{"enflame.com/gcu-memory", "6"}, {"enflame.com/gcu-core", "18"}}})).empty())
      << why_;
  EXPECT_EQ(slices_[0].shape, "3g.20gb") << "both are covered";
}

TEST_F(RulesTest, EnflameTakesTheSmallestProfileThatCovers) {
  AddNode(DrsNode());
  Put(PodOf({{{"enflame.com/gcu-memory", "6"}}}));
  EXPECT_EQ(slices_.at(0).shape, "1g.6gb") << why_;
  Put(PodOf({{{"enflame.com/gcu-memory", "6145"}}}));  // MiB: more than 80
  EXPECT_EQ(slices_.at(0).shape, "3g.20gb") << why_;
  EXPECT_TRUE(Put(PodOf({{{"enflame.com/gcu-core", "51"}}})).empty()) << "6g does not fit any more";
  EXPECT_TRUE(Put(PodOf({{{"enflame.com/drs-gcu", "2"}}})).empty());
  EXPECT_TRUE(Says("ModeNotFit")) << why_;
}

TEST_F(RulesTest, EnflameOlderCardsAreSharedInPercent) {
  domain::Node node;
  node.name = "older";
  node.capacity = {{"enflame.com/gcu-count", "1"}, {"enflame.com/shared-gcu", "6"}};
  AddNode(node);
  const auto share = [](const char* percent) {
    return PodOf({{{"enflame.com/vgcu", "1"}, {"enflame.com/vgcu-percentage", percent}}});
  };
  ASSERT_FALSE(Put(share("22")).empty()) << why_;
  EXPECT_EQ(slices_[0].memory_mib, 33);
  ASSERT_FALSE(Put(share("60")).empty()) << why_;
  EXPECT_EQ(slices_[0].memory_mib, 66);
  EXPECT_TRUE(Put(share("10")).empty());
  EXPECT_TRUE(Put(PodOf({{{"enflame.com/drs-gcu", "1"}}})).empty());
  EXPECT_TRUE(Says("ModeNotFit")) << why_;
}

}  // namespace
}  // namespace hami::placement
