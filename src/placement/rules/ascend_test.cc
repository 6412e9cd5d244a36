// SPDX-License-Identifier: Apache-2.0
//
// Ascend: pairs, network groups, soft split, templates.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "placement/rules/fake_rules.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

// Devices "n0", "n1", ... or with the name of the node before them.
domain::Node AscendNode(const std::string& word, const std::vector<int32_t>& networks,
                        const std::string& name = "n") {
  return Announced(name, "hami.io/node-register-" + word, networks.size(), [&](size_t i) {
    const std::string network =
        networks[i] < 0 ? "" : fmt::format(R"(,"custominfo":{{"NetworkID":{}}})", networks[i]);
    return fmt::format(R"({{"id":"{}{}","index":{},"count":7,"devmem":65536,"devcore":100,)"
                       R"("type":"{}","health":true{}}})",
                       name, i, i, word, network);
  });
}

TEST_F(RulesTest, AscendTakesWholePairs) {
  AddNode(AscendNode("Ascend910C", {-1, -1, -1, -1, -1, -1}));
  const Texts two = {{"huawei.com/Ascend910C", "2"}};

  for (int round = 0; round < 3; ++round) {
    const Names names = Put(PodOf({two}));
    ASSERT_EQ(names.size(), 2U) << why_;
    EXPECT_EQ((names[0][1] - '0') / 2, (names[1][1] - '0') / 2) << names[0] << names[1];
  }
  EXPECT_TRUE(Put(PodOf({two})).empty());
}

TEST_F(RulesTest, AscendBreaksNoPair) {
  domain::Node node = AscendNode("Ascend910C", {-1, -1, -1, -1});
  node.annotations["hami.io/device-cordon"] = "n1,n3";
  AddNode(node);

  EXPECT_TRUE(Put(PodOf({{{"huawei.com/Ascend910C", "2"}}})).empty());
  EXPECT_TRUE(Says("CardNotFoundCustomFilterRule")) << why_;
}

TEST_F(RulesTest, AscendTakesTheLargestNetworkGroup) {
  AddNode(AscendNode("Ascend910B3", {1, 2, 2, 2, 1}));

  const Names names = Put(PodOf({{{"huawei.com/Ascend910B3", "3"}}}));

  EXPECT_EQ(Sorted(names), (Names{"n1", "n2", "n3"}));
}

// One card without an id, or another family: there are no groups, the policy chooses.
TEST_F(RulesTest, AscendGroupsNothingWhereNotAllHaveAGroup) {
  AddNode(AscendNode("Ascend910B3", {2, 2, -1, 1}));
  EXPECT_EQ(Sorted(Put(PodOf({{{"huawei.com/Ascend910B3", "2"}}}))), (Names{"n2", "n3"})) << why_;
}

TEST_F(RulesTest, AscendOfOtherFamiliesHaveNoGroups) {
  AddNode(AscendNode("Ascend310P", {2, 2, 2, 1}));
  EXPECT_EQ(Sorted(Put(PodOf({{{"huawei.com/Ascend310P", "2"}}}))), (Names{"n2", "n3"})) << why_;
}

// Contract 1.7: the share of the largest group, times ten.
TEST(AscendScores, AreHamis) {
  const domain::Pod three = PodOf({{{"huawei.com/Ascend910B3", "3"}}});
  const auto score = [&](const std::vector<int32_t>& networks) {
    return IdleView(AscendNode("Ascend910B3", networks), {0, 1, 2}).ScoreBy(AscendRule(), three);
  };
  EXPECT_DOUBLE_EQ(score({1, 1, 1, 2}), 10);
  EXPECT_DOUBLE_EQ(score({1, 2, 1, 2}), 20.0 / 3);
  EXPECT_DOUBLE_EQ(score({1, 1, 1, -1}), 0);
}

TEST_F(RulesTest, AscendPrefersTheNodeWithOneGroup) {
  AddNode(AscendNode("Ascend910B3", {1, 2, 3, 4}, "torn"));
  AddNode(AscendNode("Ascend910B3", {5, 5, 5, 5}, "one"));
  for (const NodePolicy policy : {NodePolicy::kBinpack, NodePolicy::kSpread}) {
    const domain::Pod pod = PodOf({{{"huawei.com/Ascend910B3", "2"}}});
    Put(pod, {.node = policy});
    EXPECT_EQ(node_, "one") << why_;
    cluster_.RemovePod(pod.uid);
  }
}

TEST_F(RulesTest, AscendSplitsSoftlyOnlyWhereTheNodeAllowsIt) {
  const Texts soft = {{"huawei.com/vnpu-mode", "hami-core"}};
  const Texts limits = {{"huawei.com/Ascend910B3", "1"},
                        {"huawei.com/Ascend910B3-memory", "5000"},
                        {"huawei.com/Ascend910B3-core", "30"}};
  domain::Node node = AscendNode("Ascend910B3", {-1});
  AddNode(node);
  EXPECT_TRUE(Put(PodOf({limits}, soft)).empty());
  EXPECT_TRUE(Says("ModeNotFit")) << why_;

  node.annotations["hami-vnpu-core"] = "true";
  AddNode(node);
  EXPECT_EQ(Put(PodOf({limits}, soft)), Names{"n0"}) << why_;
  EXPECT_EQ(slices_[0].memory_mib, 5000);
  EXPECT_EQ(slices_[0].cores, 30);
}

TEST(AscendSoftSplit, TheConfigurationAllowsItUnlessTheNodeSaysOtherwise) {
  const auto registry = vendor::Registry::FromDeviceConfig(
      "vnpus: {hamiVnpuCore: true, configs: [{commonWord: Ascend910B3, "
      "resourceName: huawei.com/Ascend910B3, resourceMemoryName: huawei.com/Ascend910B3-memory, "
      "resourceCoreName: huawei.com/Ascend910B3-core, memoryAllocatable: 65536, "
      "memoryCapacity: 65536}]}",
      nullptr);
  ASSERT_TRUE(registry) << registry.error().message;
  const domain::Pod pod =
      PodOf({{{"huawei.com/Ascend910B3", "1"}, {"huawei.com/Ascend910B3-memory", "5000"}}},
            {{"huawei.com/vnpu-mode", "hami-core"}});
  const auto request = MakeRequest(*registry, pod, {});
  ASSERT_TRUE(request) << request.error().message;
  const auto fits = [&](const char* word) {
    domain::Node node = AscendNode("Ascend910B3", {-1});
    if (word != nullptr) node.annotations["hami-vnpu-core"] = word;
    Cluster cluster(*registry);
    cluster.PutNode(FactsOf(node, *registry));
    return cluster.Place(*request, {}).allocation.has_value();
  };
  EXPECT_TRUE(fits(nullptr));
  EXPECT_TRUE(fits("true"));
  EXPECT_FALSE(fits("false"));
  EXPECT_FALSE(fits("perhaps")) << "what is no truth value allows nothing";
}

// Memory is all that bounds templates: four of 10 AI cores each on a card of 20.
TEST_F(RulesTest, AscendTemplatesAreBoundByMemoryAlone) {
  AddNode(Announced(
      "n", "hami.io/node-register-Ascend910B4",
      R"([{"id":"n0","count":7,"devmem":65536,"devcore":20,"type":"Ascend910B4","health":true}])"));
  const Texts half = {{"huawei.com/Ascend910B4", "1"}, {"huawei.com/Ascend910B4-memory", "16384"}};
  for (int i = 0; i < 4; ++i) {
    ASSERT_FALSE(Put(PodOf({half})).empty()) << i << why_;
    EXPECT_EQ(slices_[0].shape, "vir10_3c_16g");
    EXPECT_EQ(slices_[0].cores, 0);
  }
  EXPECT_TRUE(Put(PodOf({half})).empty());
  EXPECT_TRUE(Says("CardInsufficientMemory")) << why_;
}

}  // namespace
}  // namespace hami::placement
