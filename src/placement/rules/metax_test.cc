// SPDX-License-Identifier: Apache-2.0
//
// MetaX: QoS policies and classes of shared cards, links, scores of whole ones.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "placement/rules/fake_rules.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

domain::Node MetaxNode(const std::string& name, const std::vector<int32_t>& zones) {
  return Announced(name, "metax-tech.com/node-gpu-devices", zones.size(), [&](size_t i) {
    return fmt::format(R"({{"uuid":"{}-{}","totalDevCount":16,"totalCompute":100,)"
                       R"("totalVRam":65536,"healthy":true,"linkZone":{}}})",
                       name, i, zones[i]);
  });
}

domain::Pod MetaxPod(const char* cores, Texts annotations, const char* count = "1") {
  return PodOf({{{"metax-tech.com/sgpu", count},
                 {"metax-tech.com/vcore", cores},
                 {"metax-tech.com/vmemory", "4"}}},
               std::move(annotations));
}

Texts Qos(const char* policy) { return {{"metax-tech.com/sgpu-qos-policy", policy}}; }
Texts Class(const char* name, const char* policy = "best-effort") {
  Texts annotations = Qos(policy);
  annotations["metax-tech.com/sgpu-app-class"] = name;
  return annotations;
}

TEST_F(RulesTest, MetaxCardsHaveOnePolicy) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("20", Qos("best-effort"))).empty()) << why_;
  EXPECT_TRUE(Put(MetaxPod("20", Qos("fixed-share"))).empty());
  EXPECT_TRUE(Says("CardQosPolicyMismatch")) << why_;
  EXPECT_FALSE(Put(MetaxPod("20", Qos("best-effort"))).empty()) << why_;
}

TEST_F(RulesTest, MetaxCardsForgetTheirPolicyWhenIdle) {
  AddNode(MetaxNode("mx", {0}));
  const domain::Pod first = MetaxPod("20", Qos("best-effort"));
  ASSERT_FALSE(Put(first).empty()) << why_;
  cluster_.RemovePod(first.uid);
  const domain::Pod whole = MetaxPod("100", Qos("best-effort"));
  ASSERT_FALSE(Put(whole).empty()) << why_;
  EXPECT_EQ(slices_[0].shape, "") << "a card that is taken whole has no policy";
  cluster_.RemovePod(whole.uid);
  EXPECT_FALSE(Put(MetaxPod("20", Qos("burst-share"))).empty()) << why_;
}

TEST_F(RulesTest, MetaxPoliciesBindOfflinePodsAndNotOnlineOnes) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("20", Class("offline", "best-effort"))).empty()) << why_;
  EXPECT_TRUE(Put(MetaxPod("20", Class("offline", "fixed-share"))).empty());
  EXPECT_TRUE(Says("CardQosPolicyMismatch")) << why_;
  EXPECT_FALSE(Put(MetaxPod("20", Class("offline", "best-effort"))).empty()) << why_;
  EXPECT_FALSE(Put(MetaxPod("20", Class("online", "fixed-share"))).empty()) << why_;
}

TEST_F(RulesTest, MetaxCardsThatAreIllHaveAWordOfTheirOwn) {
  AddNode(Announced(
      "mx", "metax-tech.com/node-gpu-devices",
      R"([{"uuid":"a","totalDevCount":16,"totalCompute":100,"totalVRam":65536,"healthy":false}])"));
  EXPECT_TRUE(Put(MetaxPod("20", Qos("best-effort"))).empty());
  EXPECT_TRUE(Says("1/1 CardUnhealthy")) << why_;
}

TEST_F(RulesTest, MetaxClassesDoNotMixWithOthers) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("20", Qos("best-effort"))).empty()) << why_;
  for (const char* name : {"online", "offline"}) {
    EXPECT_TRUE(Put(MetaxPod("20", Class(name))).empty());
    EXPECT_TRUE(Says("CardAppClassMismatch")) << why_;
  }
}

TEST_F(RulesTest, MetaxOnlineTakesNoCoresAndOfflineAvoidsIt) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("90", Class("offline"))).empty()) << why_;
  ASSERT_FALSE(Put(MetaxPod("90", Class("online"))).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 0);
  EXPECT_TRUE(Put(MetaxPod("5", Class("offline"))).empty());
  EXPECT_TRUE(Says("CardAppClassMismatch")) << why_;
  EXPECT_FALSE(Put(MetaxPod("90", Class("online"))).empty()) << why_;
}

TEST_F(RulesTest, MetaxOnlineGoesWhereFewAreAndLeavesOfflineAlone) {
  AddNode(MetaxNode("mx", {0, 0, 0}));
  const Names offline = Put(MetaxPod("20", Class("offline")));
  const Names first = Put(MetaxPod("20", Class("online")));
  const Names second = Put(MetaxPod("20", Class("online")));
  const Names third = Put(MetaxPod("20", Class("online")));

  ASSERT_FALSE(third.empty()) << why_;
  EXPECT_NE(first, offline);
  EXPECT_NE(second, offline);
  EXPECT_NE(second, first);
  EXPECT_NE(third, offline) << "an online neighbour costs less than suspending";
}

TEST_F(RulesTest, MetaxWholeCardsComeFromTheSmallestZoneThatSuffices) {
  AddNode(MetaxNode("mx", {1, 1, 1, 1, 2, 2, 0}));

  EXPECT_EQ(Sorted(Put(MetaxPod("100", Qos("best-effort"), "2"))), (Names{"mx-4", "mx-5"})) << why_;
  EXPECT_EQ(Put(MetaxPod("100", Qos("best-effort"), "3")).size(), 3U) << why_;
  for (const domain::Slice& slice : slices_) EXPECT_LT(slice.device, "mx-4");
  const Names last = Sorted(Put(MetaxPod("100", Qos("best-effort"), "2")));
  ASSERT_EQ(last.size(), 2U) << why_;
  EXPECT_LT(last[0], "mx-4");
  EXPECT_EQ(last[1], "mx-6") << "without links, last";
}

TEST_F(RulesTest, MetaxTopologyChoosesTheNodeWithLinks) {
  AddNode(MetaxNode("loose", {1, 2, 3, 4}));
  AddNode(MetaxNode("tight", {1, 1, 2, 2}));
  Texts annotations = Qos("best-effort");
  annotations["metax-tech.com/sgpu-topology-aware"] = "true";
  for (const NodePolicy policy : {NodePolicy::kBinpack, NodePolicy::kSpread}) {
    Put(MetaxPod("100", annotations, "2"), {.node = policy});
    EXPECT_EQ(node_, "tight") << why_;
  }
}

Texts On(const char* card, Texts annotations) {
  annotations["metax-tech.com/use-gpuuuid"] = card;
  return annotations;
}

Policy Packed() {
  Policy policy;
  policy.device.keys = {DeviceKey::kBinpack};
  return policy;
}

TEST_F(RulesTest, MetaxPodsWithoutAPolicyBindNobody) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("20", {})).empty()) << why_;
  ASSERT_FALSE(Put(MetaxPod("20", Qos("fixed-share"))).empty()) << why_;
  EXPECT_TRUE(Put(MetaxPod("20", Qos("burst-share"))).empty());
}

TEST_F(RulesTest, MetaxPodsWithoutAClassKeepOffCardsOfClasses) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("20", Class("offline"))).empty()) << why_;
  EXPECT_TRUE(Put(MetaxPod("20", Qos("best-effort"))).empty());
  EXPECT_TRUE(Says("CardAppClassMismatch")) << why_;
}

TEST_F(RulesTest, MetaxOnlineFitsWhereNoCoresAreLeft) {
  AddNode(MetaxNode("mx", {0}));
  ASSERT_FALSE(Put(MetaxPod("100", Class("offline"))).empty()) << why_;
  EXPECT_FALSE(Put(MetaxPod("50", Class("online"))).empty()) << why_;
}

// Whatever the policy says: it would take the fullest card.
TEST_F(RulesTest, MetaxOnlineGoesWhereFewestOnlineAre) {
  AddNode(MetaxNode("mx", {0, 0}));
  for (const char* card : {"mx-0", "mx-0", "mx-1"}) {
    ASSERT_FALSE(Put(MetaxPod("20", On(card, Class("online")))).empty()) << why_;
  }
  EXPECT_EQ(Put(MetaxPod("20", Class("online")), Packed()), Names{"mx-1"}) << why_;
}

TEST_F(RulesTest, MetaxOnlineGoesWhereFewerOfflineAreIfOnlineAreAlike) {
  AddNode(MetaxNode("mx", {0, 0}));
  for (const char* card : {"mx-0", "mx-0", "mx-1"}) {
    ASSERT_FALSE(Put(MetaxPod("20", On(card, Class("offline")))).empty()) << why_;
  }
  for (const char* card : {"mx-0", "mx-1"}) {
    ASSERT_FALSE(Put(MetaxPod("20", On(card, Class("online")))).empty()) << why_;
  }
  EXPECT_EQ(Put(MetaxPod("20", Class("online")), Packed()), Names{"mx-1"}) << why_;
}

// Nodes as cards: alone is best, then beside online ones, then beside both; who would suspend goes
// elsewhere. The node's policy would take the fuller one.
TEST_F(RulesTest, MetaxOnlineChoosesTheNodeWhereItHarmsLeast) {
  const auto hold = [this](const char* card, const char* name) {
    ASSERT_FALSE(Put(MetaxPod("20", On(card, Class(name)))).empty()) << why_;
  };
  AddNode(MetaxNode("a", {0}));
  hold("a-0", "online");
  AddNode(MetaxNode("b", {0}));
  domain::Pod pod = MetaxPod("20", Class("online"));
  Put(pod);
  EXPECT_EQ(node_, "b") << "alone";
  cluster_.RemovePod(pod.uid);

  hold("b-0", "offline");
  Put(pod);
  EXPECT_EQ(node_, "a") << "nobody is suspended";
  cluster_.RemovePod(pod.uid);

  hold("b-0", "online");
  Put(pod);
  EXPECT_EQ(node_, "a") << "online alike, without offline";
  cluster_.RemovePod(pod.uid);

  hold("a-0", "online");
  hold("a-0", "online");
  Put(pod);
  EXPECT_EQ(node_, "b") << "fewer online";
}

TEST_F(RulesTest, MetaxPodsWithAClassTakeNoPartInLinks) {
  AddNode(MetaxNode("mx", {2, 1, 1}));
  const domain::Pod plain = MetaxPod("100", Qos("best-effort"));
  EXPECT_EQ(Put(plain, Packed()), Names{"mx-0"}) << "of the smallest zone" << why_;
  cluster_.RemovePod(plain.uid);
  EXPECT_EQ(Put(MetaxPod("100", Class("offline")), Packed()), Names{"mx-2"}) << why_;
}

TEST_F(RulesTest, MetaxCardsWithoutLinksAreNoZone) {
  AddNode(MetaxNode("mx", {1, 1, 1, 0, 0}));
  const Names names = Put(MetaxPod("100", Qos("best-effort"), "2"));
  ASSERT_EQ(names.size(), 2U) << why_;
  EXPECT_LT(Sorted(names)[1], "mx-3");
}

TEST_F(RulesTest, MetaxPartsOfCardsHaveNoTopology) {
  AddNode(MetaxNode("loose", {1, 2}));
  AddNode(MetaxNode("tight", {1, 1}));
  Texts annotations = Qos("best-effort");
  annotations["metax-tech.com/sgpu-topology-aware"] = "true";
  Put(MetaxPod("20", annotations, "2"));
  EXPECT_EQ(node_, "loose") << "the first of equals";
}

// What others hold cannot be linked any more: of the two that are left none are lost.
TEST_F(RulesTest, MetaxTopologyCountsTheLinksOfFreeCards) {
  AddNode(MetaxNode("a", {1, 1, 1, 1}));
  for (const char* card : {"a-0", "a-1"}) {
    ASSERT_FALSE(Put(MetaxPod("100", On(card, Qos("best-effort")))).empty()) << why_;
  }
  AddNode(MetaxNode("b", {1, 1, 1}));
  Texts annotations = Qos("best-effort");
  annotations["metax-tech.com/sgpu-topology-aware"] = "true";
  Put(MetaxPod("100", annotations, "2"), {.node = NodePolicy::kSpread});
  EXPECT_EQ(node_, "a") << why_;
}

TEST(MetaxTopology, TheConfigurationWantsItUnlessThePodSaysOtherwise) {
  const auto registry = vendor::Registry::FromDeviceConfig(
      "metax: {resourceVCountName: metax-tech.com/sgpu, resourceVMemoryName: "
      "metax-tech.com/vmemory, resourceVCoreName: metax-tech.com/vcore, sgpuTopologyAware: true}",
      nullptr);
  ASSERT_TRUE(registry) << registry.error().message;
  Cluster cluster(*registry);
  for (const domain::Node& node :
       {MetaxNode("loose", {1, 2, 3, 4}), MetaxNode("tight", {1, 1, 2, 2})}) {
    cluster.PutNode(FactsOf(node, *registry));
  }
  const auto node_for = [&](const char* word) {
    Texts annotations = Qos("best-effort");
    if (word != nullptr) annotations["metax-tech.com/sgpu-topology-aware"] = word;
    const auto request = MakeRequest(*registry, MetaxPod("100", annotations, "2"), {});
    EXPECT_TRUE(request);
    const Decision decision = cluster.Place(*request, {});
    return decision.allocation ? decision.allocation->node : "";
  };
  EXPECT_EQ(node_for(nullptr), "tight");
  EXPECT_EQ(node_for("false"), "loose") << "the first of equals";
  EXPECT_EQ(node_for("perhaps"), "tight") << "no word for either";
}

TEST_F(RulesTest, MetaxCardsOfNoZoneHaveNoLinks) {
  AddNode(MetaxNode("none", {0, 0}));
  AddNode(MetaxNode("zone", {1, 1, 1}));
  Texts annotations = Qos("best-effort");
  annotations["metax-tech.com/sgpu-topology-aware"] = "true";
  Put(MetaxPod("100", annotations, "2"));
  EXPECT_EQ(node_, "zone") << why_;
}

TEST_F(RulesTest, MetaxWholeCardsByWhatNodesSayOfTheirLinks) {
  const auto node = [](const char* name, const char* key, const char* text) {
    domain::Node made;
    made.name = name;
    made.capacity = {{"metax-tech.com/gpu", "4"}};
    made.annotations[key] = text;
    return made;
  };
  AddNode(node("a", "metax-tech.com/gpu.topology.losses", R"({"1":10,"2":900})"));
  AddNode(node("b", "metax-tech.com/gpu.topology.losses", R"({"1":500,"2":321})"));
  Put(PodOf({{{"metax-tech.com/gpu", "2"}}}));
  EXPECT_EQ(node_, "b") << why_;
  Put(PodOf({{{"metax-tech.com/gpu", "1"}}}));
  EXPECT_EQ(node_, "a");
  // Two containers with one each are two cards.
  Put(PodOf({{{"metax-tech.com/gpu", "1"}}, {{"metax-tech.com/gpu", "1"}}}));
  EXPECT_EQ(node_, "b");
}

TEST_F(RulesTest, MetaxWholeCardsByScoresWhereThePolicySpreads) {
  const auto node = [](const char* name, Texts annotations) {
    domain::Node made;
    made.name = name;
    made.capacity = {{"metax-tech.com/gpu", "4"}};
    made.annotations = std::move(annotations);
    return made;
  };
  AddNode(node("a", {{"metax-tech.com/gpu.topology.losses", R"({"1":10})"},
                     {"metax-tech.com/gpu.topology.scores", R"({"1":100})"}}));
  AddNode(node("b", {{"metax-tech.com/gpu.topology.losses", R"({"1":900})"},
                     {"metax-tech.com/gpu.topology.scores", R"({"1":700})"}}));
  for (const auto& [policy, best] :
       {std::pair(NodePolicy::kBinpack, "a"), std::pair(NodePolicy::kSpread, "b")}) {
    const domain::Pod pod = PodOf({{{"metax-tech.com/gpu", "1"}}});
    Put(pod, {.node = policy});
    EXPECT_EQ(node_, best) << why_;
    cluster_.RemovePod(pod.uid);
  }
}

// What others hold is no part of what the pod takes.
TEST_F(RulesTest, MetaxWholeCardsByLossesOfThePodAlone) {
  domain::Node node = Announced("a", "metax-tech.com/gpu.topology.losses", R"({"1":10,"2":900})");
  node.capacity = {{"metax-tech.com/gpu", "4"}};
  AddNode(node);
  ASSERT_FALSE(Put(PodOf({{{"metax-tech.com/gpu", "1"}}})).empty()) << why_;
  node.name = "b";
  node.annotations["metax-tech.com/gpu.topology.losses"] = R"({"1":500})";
  AddNode(node);
  Put(PodOf({{{"metax-tech.com/gpu", "1"}}}));
  EXPECT_EQ(node_, "a") << why_;
}

TEST_F(RulesTest, MetaxWholeCardsByScoresWhereNodesSayNoLosses) {
  for (const auto& [name, text] :
       {std::pair("a", R"({"1":100})"), std::pair("b", R"({"1":700})")}) {
    domain::Node node = Announced(name, "metax-tech.com/gpu.topology.scores", text);
    node.capacity = {{"metax-tech.com/gpu", "4"}};
    AddNode(node);
  }
  for (const NodePolicy policy : {NodePolicy::kBinpack, NodePolicy::kSpread}) {
    const domain::Pod pod = PodOf({{{"metax-tech.com/gpu", "1"}}});
    Put(pod, {.node = policy});
    EXPECT_EQ(node_, "b") << why_;
    cluster_.RemovePod(pod.uid);
  }
}

// Contract 9.3: 2000 - 321 = 1679, and 60 in ten thousands.
TEST(MetaxScores, AreHamis) {
  domain::Node whole;
  whole.name = "mx";
  whole.capacity = {{"metax-tech.com/gpu", "4"}};
  whole.annotations["metax-tech.com/gpu.topology.losses"] = R"({"1":100,"2":321})";
  EXPECT_DOUBLE_EQ(
      IdleView(whole, {0, 1}).ScoreBy(MetaxWholeRule(), PodOf({{{"metax-tech.com/gpu", "2"}}})),
      1679);
  // Ten times the link that it gets, less the four that nobody can use any more.
  EXPECT_DOUBLE_EQ(IdleView(MetaxNode("mx", {1, 1, 1, 1}), {0, 1})
                       .ScoreBy(MetaxSharedRule(), MetaxPod("100", Qos("best-effort"), "2")),
                   600'000);
}

}  // namespace
}  // namespace hami::placement
