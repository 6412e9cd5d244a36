// SPDX-License-Identifier: Apache-2.0
//
// Rules that are short: Moore Threads, Vastai.

#include "placement/rules/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "placement/rules/fake_rules.h"

namespace hami::placement {
namespace {

// Two cards.
domain::Node MooreThreadsNode() {
  domain::Node node;
  node.name = "mt";
  node.capacity = {{"mthreads.com/sgpu-core", "32"}, {"mthreads.com/sgpu-memory", "192"}};
  return node;
}

TEST_F(RulesTest, MooreThreadsContainersShareTheirDevice) {
  AddNode(MooreThreadsNode());
  const auto half = [](const char* cores) {
    return Texts{{"mthreads.com/vgpu", "1"},
                 {"mthreads.com/sgpu-memory", "32"},
                 {"mthreads.com/sgpu-core", cores}};
  };

  const Names names = Put(PodOf({half("8"), half("8")}));
  ASSERT_EQ(names.size(), 2U) << why_;
  EXPECT_EQ(names[0], names[1]);

  EXPECT_TRUE(Put(PodOf({half("12"), half("12")})).empty()) << "two cards have room, one has not";
}

TEST_F(RulesTest, MooreThreadsContainersMayHaveSeveralDevices) {
  AddNode(MooreThreadsNode());
  EXPECT_EQ(Put(PodOf({{{"mthreads.com/vgpu", "2"}}})).size(), 2U) << why_;
}

TEST_F(RulesTest, MooreThreadsPodsNeedNotBeWhereOthersAre) {
  AddNode(MooreThreadsNode());
  const Texts quarter = {{"mthreads.com/vgpu", "1"},
                         {"mthreads.com/sgpu-memory", "32"},
                         {"mthreads.com/sgpu-core", "4"}};
  const auto on = [](const char* card) { return Texts{{"mthreads.ai/use-gpuuuid", card}}; };
  ASSERT_EQ(Put(PodOf({quarter, quarter}, on("mt-mthreads-0"))).size(), 2U) << why_;
  EXPECT_EQ(Put(PodOf({quarter}, on("mt-mthreads-1"))), Names{"mt-mthreads-1"}) << why_;
}

// By device: its AIC, -1 for none.
domain::Node VastaiNode(const char* name, const std::vector<int>& cards, const char* strategy) {
  return Announced(name, "hami.io/node-va-register", cards.size(), [&](size_t i) {
    const std::string card = cards[i] < 0 ? "" : fmt::format(R"("AIC":"card-{}",)", cards[i]);
    return fmt::format(R"({{"id":"{}{}","index":{},"count":1,"devmem":100,"health":true,)"
                       R"("custominfo":{{{}"DeviceStrategy":"{}"}}}})",
                       name, i, i, card, strategy);
  });
}

TEST_F(RulesTest, VastaiDiesWithoutACardGoLast) {
  AddNode(VastaiNode("v", {-1, -1, -1, 0, 0}, "die"));
  EXPECT_EQ(Sorted(Put(PodOf({{{"vastaitech.com/va", "2"}}}))), (Names{"v3", "v4"})) << why_;
}

TEST_F(RulesTest, VastaiCardsThatAreNotCutAreChosenByThePolicy) {
  AddNode(VastaiNode("v", {0, 0, 0, 1}, "card"));
  EXPECT_EQ(Sorted(Put(PodOf({{{"vastaitech.com/va", "2"}}}))), (Names{"v2", "v3"})) << why_;
}

TEST_F(RulesTest, VastaiPrefersTheNodeWithDiesOfOneCard) {
  AddNode(VastaiNode("none", {-1, -1}, "die"));
  AddNode(VastaiNode("torn", {0, 1}, "die"));
  const domain::Pod pod = PodOf({{{"vastaitech.com/va", "2"}}});
  Put(pod);
  EXPECT_EQ(node_, "torn") << "half of them are on one card";
  cluster_.RemovePod(pod.uid);
  AddNode(VastaiNode("one", {0, 0}, "die"));
  Put(pod);
  EXPECT_EQ(node_, "one") << why_;
}

TEST_F(RulesTest, VastaiKeepsDiesOfOneCardTogether) {
  AddNode(VastaiNode("v", {0, 0, 1, 1, 1}, "die"));

  const Names names = Put(PodOf({{{"vastaitech.com/va", "3"}}}));

  EXPECT_EQ(Sorted(names), (Names{"v2", "v3", "v4"})) << why_;
}

}  // namespace
}  // namespace hami::placement
