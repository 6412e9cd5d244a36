// SPDX-License-Identifier: Apache-2.0

#include "extender/holdings.h"

#include <gtest/gtest.h>

namespace hami::extender {
namespace {

class HoldingsTest : public ::testing::Test {
 protected:
  static placement::PodFacts Facts(const std::string& node, size_t slices, int32_t priority = 0) {
    placement::PodFacts facts;
    facts.uid = "of the API";
    facts.namespace_name = "default";
    facts.node = node;
    facts.priority = priority;
    facts.kinds = {domain::ContainerKind::kApp};
    for (size_t i = 0; i < slices; ++i) {
      facts.slices.push_back({.vendor = "NVIDIA",
                              .device = "GPU-" + std::to_string(i),
                              .memory_mib = 100,
                              .cores = 1,
                              .mig = {},
                              .shape = ""});
    }
    return facts;
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
  Holdings holdings_{registry_};
};

TEST_F(HoldingsTest, RoomComesFreeWhereLessIsHeldThanBefore) {
  EXPECT_EQ(holdings_.Put("ua", Facts("n1", 2)), std::nullopt);
  EXPECT_EQ(holdings_.Put("ua", Facts("n1", 2)), std::nullopt);
  EXPECT_EQ(holdings_.Put("ua", Facts("n1", 1)), "n1");
  EXPECT_EQ(holdings_.Put("ua", Facts("n2", 1)), "n1") << "it is elsewhere now";
  placement::PodFacts done = Facts("n2", 1);
  done.init_done = true;
  EXPECT_EQ(holdings_.Put("ua", done), "n2") << "its init containers have given back theirs";
  EXPECT_EQ(holdings_.Remove("ua"), "n2");
  EXPECT_EQ(holdings_.Remove("ua"), std::nullopt);
  EXPECT_EQ(holdings_.cluster().pod_count(), 0U);
}

TEST_F(HoldingsTest, IsHeldUnderTheUidThatIsSaid) {
  holdings_.Put("ua/late", Facts("n1", 1));
  EXPECT_TRUE(holdings_.cluster().FindPod("ua/late"));
  EXPECT_FALSE(holdings_.cluster().FindPod("of the API"));
}

TEST_F(HoldingsTest, OnlyHoldersOfDevicesCountAmongPriorities) {
  holdings_.Put("native", Facts("n1", 0, -10));
  EXPECT_FALSE(holdings_.HasBelow(INT32_MAX));
  holdings_.Put("ua", Facts("n1", 1, 5));
  holdings_.Put("ub", Facts("n1", 1, 5));
  EXPECT_FALSE(holdings_.HasBelow(5));
  EXPECT_TRUE(holdings_.HasBelow(6));
  holdings_.Put("ua", Facts("n1", 1, 7));
  holdings_.Remove("ub");
  EXPECT_FALSE(holdings_.HasBelow(7));
  holdings_.Remove("ua");
  EXPECT_FALSE(holdings_.HasBelow(INT32_MAX));
}

}  // namespace
}  // namespace hami::extender
