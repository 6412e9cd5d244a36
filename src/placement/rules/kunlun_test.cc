// SPDX-License-Identifier: Apache-2.0
//
// Kunlun: wings and links, sizes of shares.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "placement/rules/fake_rules.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

TEST(Kunlun, ChoosesByWings) {
  using Cards = std::vector<int32_t>;
  const Cards all = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(ChooseKunlun(all, 1), Cards{0});
  EXPECT_EQ(ChooseKunlun(all, 2), (Cards{0, 1}));
  EXPECT_EQ(ChooseKunlun(all, 4), (Cards{0, 1, 2, 3}));
  EXPECT_EQ(ChooseKunlun(all, 8), all);
  EXPECT_EQ(ChooseKunlun(all, 3), Cards());
  EXPECT_EQ(ChooseKunlun(all, 0), Cards());
  EXPECT_EQ(ChooseKunlun(all, -1), Cards());
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 3}, 4), (Cards{0, 1, 2, 3})) << "right wing busy";
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 3, 4, 5, 6}, 8), Cards());
  // A single card: from one, then three, then two, then four free.
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 3, 7}, 1), Cards{7});
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 5, 6, 7}, 1), Cards{5});
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 3, 6, 7}, 1), Cards{6});
  // Two: where fewest are free; across the wings only over a link.
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 6, 7}, 2), (Cards{6, 7}));
  EXPECT_EQ(ChooseKunlun(Cards{1, 5}, 2), (Cards{1, 5}));
  EXPECT_EQ(ChooseKunlun(Cards{1, 6}, 2), Cards());
  // Four over both wings.
  EXPECT_EQ(ChooseKunlun(Cards{0, 2, 4, 6}, 4), (Cards{0, 2, 4, 6}));
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 6, 7}, 4), Cards());
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 4, 5, 7}, 4), (Cards{0, 1, 4, 5}));
  for (const Cards& four : {Cards{0, 1, 4, 5}, Cards{2, 3, 6, 7}, Cards{1, 3, 5, 7},
                            Cards{0, 3, 4, 7}, Cards{1, 2, 5, 6}}) {
    EXPECT_EQ(ChooseKunlun(four, 4), four);
  }
  // Of six, two that are linked stay.
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 2, 4, 5, 6}, 4), (Cards{0, 1, 4, 5}));
  EXPECT_EQ(ChooseKunlun(Cards{0, 1, 3, 4, 5, 6}, 4), (Cards{0, 1, 4, 5}));
}

TEST(Kunlun, Scores) {
  using Cards = std::vector<int32_t>;
  EXPECT_EQ(KunlunBubbles(Cards{}), 1);
  EXPECT_EQ(KunlunBubbles(Cards{0}), 3);
  EXPECT_EQ(KunlunBubbles(Cards{0, 1}), 2);
  EXPECT_EQ(KunlunBubbles(Cards{0, 1, 2, 3}), 1);
  EXPECT_EQ(KunlunScore(Cards{0}, Cards{0, 1}), 3000);
  EXPECT_EQ(KunlunScore(Cards{0}, Cards{4}), 2000);
  EXPECT_EQ(KunlunScore(Cards{0, 1}, Cards{0}), 1000);
  EXPECT_EQ(KunlunScore(Cards{0, 1, 2, 3}, Cards{0}), 0);
}

domain::Node KunlunNode(const char* name) {
  domain::Node node;
  node.name = name;
  node.capacity = {{"kunlunxin.com/xpu", "8"}};
  return node;
}

TEST_F(RulesTest, KunlunFillsTornWingsFirst) {
  AddNode(KunlunNode("empty"));
  AddNode(KunlunNode("torn"));
  const Texts one = {{"kunlunxin.com/xpu", "1"}};
  // Give "torn" its first card.
  const auto request = MakeRequest(TestRegistry(), PodOf({one}), {});
  ASSERT_TRUE(request);
  const Decision first = cluster_.PlaceOn(*request, "torn");
  ASSERT_TRUE(first.allocation);
  cluster_.PutPod(TestPod("first", *request, *first.allocation));

  for (const NodePolicy policy : {NodePolicy::kSpread, NodePolicy::kBinpack}) {
    Put(PodOf({one}), {.node = policy});
    EXPECT_EQ(node_, "torn") << why_;
  }
  EXPECT_TRUE(Put(PodOf({{{"kunlunxin.com/xpu", "3"}}})).empty());
  EXPECT_TRUE(Says("NumaNotFit")) << why_;
}

domain::Node XpuNode(size_t count) {
  return Announced("xpu", "hami.io/node-register-xpu", count, [](size_t i) {
    return fmt::format(R"({{"id":"X{}","index":{},"count":4,"devmem":98304,"devcore":100,)"
                       R"("type":"P800","health":true}})",
                       i, i);
  });
}

// What is torn before the pod counts too: four and one of eight are worse than two and one.
TEST_F(RulesTest, KunlunComparesWithWhatWasUsed) {
  AddNode(KunlunNode("four"));
  ASSERT_EQ(Put(PodOf({{{"kunlunxin.com/xpu", "4"}}})).size(), 4U) << why_;
  AddNode(KunlunNode("two"));
  const auto request = MakeRequest(TestRegistry(), PodOf({{{"kunlunxin.com/xpu", "2"}}}), {});
  ASSERT_TRUE(request);
  const Decision pair = cluster_.PlaceOn(*request, "two");
  ASSERT_TRUE(pair.allocation);
  cluster_.PutPod(TestPod("pair", *request, *pair.allocation));

  Put(PodOf({{{"kunlunxin.com/xpu", "1"}}}), {.node = NodePolicy::kBinpack});
  EXPECT_EQ(node_, "two") << why_;
}

// A container's card is torn from what the pod's other containers have, too: two beside each other
// in an empty wing are better than two beside a third.
TEST_F(RulesTest, KunlunContainersOfAPodAreScoredTogether) {
  const Texts one = {{"kunlunxin.com/xpu", "1"}};
  AddNode(KunlunNode("used"));
  ASSERT_EQ(Put(PodOf({one})).size(), 1U) << why_;
  AddNode(KunlunNode("empty"));
  Put(PodOf({one, one}));
  EXPECT_EQ(node_, "empty") << why_;
}

TEST_F(RulesTest, KunlunSharesLeaveTheNodeToThePolicy) {
  AddNode(XpuNode(8));
  const auto share = [] {
    return PodOf({{{"kunlunxin.com/vxpu", "1"}, {"kunlunxin.com/vxpu-memory", "24576"}}});
  };
  ASSERT_FALSE(Put(share()).empty()) << why_;
  domain::Node empty = XpuNode(8);
  empty.name = "empty";
  std::string& text = empty.annotations["hami.io/node-register-xpu"];
  for (size_t at = 0; (at = text.find("\"X", at)) != std::string::npos; ++at) text[at + 1] = 'Y';
  AddNode(empty);
  Put(share(), {.node = NodePolicy::kSpread});
  EXPECT_EQ(node_, "empty") << why_;
}

TEST_F(RulesTest, KunlunSharesAreOfOneSizeOnACard) {
  AddNode(XpuNode(1));
  const auto share = [](const char* memory) {
    return PodOf({{{"kunlunxin.com/vxpu", "1"}, {"kunlunxin.com/vxpu-memory", memory}}});
  };
  ASSERT_FALSE(Put(share("20000")).empty()) << why_;
  EXPECT_TRUE(Put(share("49152")).empty());
  EXPECT_TRUE(Says("CardNotFoundCustomFilterRule")) << why_;
  for (int i = 0; i < 3; ++i) ASSERT_FALSE(Put(share("24576")).empty()) << why_;
  EXPECT_TRUE(Put(share("24576")).empty());
}

// The graph of whole cards holds for shares.
TEST_F(RulesTest, KunlunSharesOfSeveralCardsAreLinked) {
  domain::Node node = XpuNode(8);
  node.annotations["hami.io/device-cordon"] = "X2,X3,X4,X5";
  AddNode(node);
  const auto share = [](const char* count) {
    return PodOf({{{"kunlunxin.com/vxpu", count}, {"kunlunxin.com/vxpu-memory", "24576"}}});
  };
  EXPECT_EQ(Sorted(Put(share("2"))), (Names{"X0", "X1"})) << why_;
  EXPECT_TRUE(Put(share("3")).empty());
  EXPECT_TRUE(Says("NumaNotFit")) << why_;
  EXPECT_TRUE(Put(share("4")).empty());
  EXPECT_TRUE(Says("CardNotFoundCustomFilterRule")) << why_;
}

}  // namespace
}  // namespace hami::placement
