// SPDX-License-Identifier: Apache-2.0
//
// Rules of single vendors, through placement: nodes and pods as they are read from the API.

#include "placement/rules/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"
#include "placement/request.h"

namespace hami::placement {
namespace {

using Texts = std::map<std::string, std::string>;
using Names = std::vector<std::string>;

domain::Pod PodOf(std::vector<Texts> containers, Texts annotations = {}) {
  static int number = 0;
  domain::Pod pod;
  pod.namespace_name = "default";
  pod.name = pod.uid = fmt::format("pod-{}", ++number);
  pod.annotations = std::move(annotations);
  for (Texts& limits : containers) {
    domain::PodContainer& container = pod.containers.emplace_back();
    container.name = fmt::format("c{}", pod.containers.size() - 1);
    container.limits = std::move(limits);
  }
  return pod;
}

Names Sorted(Names names) {
  std::sort(names.begin(), names.end());
  return names;
}

class RulesTest : public testing::Test {
 protected:
  void AddNode(const domain::Node& node) {
    NodeFacts facts;
    facts.name = node.name;
    facts.devices = TestRegistry().DevicesOf(node, nullptr);
    ASSERT_FALSE(facts.devices.empty());
    facts.labels = node.labels;
    facts.annotations = node.annotations;
    cluster_.PutNode(facts);
  }

  // Places the pod and keeps it; what it holds is read back from what is written on it.
  // "" and the reasons where it does not fit.
  Names Put(const domain::Pod& pod, const Policy& policy = {}) {
    why_.clear();
    node_.clear();
    slices_.clear();
    const auto request = MakeRequest(TestRegistry(), pod, policy);
    if (!request) {
      why_ = request.error().message;
      return {};
    }
    const Decision decision = cluster_.Place(*request, {});
    if (!decision.allocation) {
      for (const Misfit& misfit : decision.misfits) why_ += misfit.text + "\n";
      return {};
    }
    node_ = decision.allocation->node;
    const NodeFacts* facts = cluster_.FindNode(node_);
    domain::Pod written = pod;
    for (auto& [key, value] :
         TestRegistry().WriteAllocation(pod, *decision.allocation, facts->devices, 0)) {
      written.annotations[key] = value;
    }
    const auto read = TestRegistry().ReadAllocation(written);
    EXPECT_TRUE(read) << read.error().message;
    if (!read) return {};
    EXPECT_EQ(read->slices, decision.allocation->slices);
    slices_ = read->slices;
    cluster_.PutPod(TestPod(pod.uid, *request, *read));
    Names names;
    for (const domain::Slice& slice : slices_) names.push_back(slice.device);
    return names;
  }

  bool Says(std::string_view word) const { return why_.find(word) != std::string::npos; }

  Cluster cluster_{TestRegistry()};
  std::string why_;   // of the last Put that did not fit
  std::string node_;  // of the last that did
  std::vector<domain::Slice> slices_;
};

// --- Ascend ---

// Devices "n0", "n1", ... or with the name of the node before them.
domain::Node AscendNode(const std::string& word, const std::vector<int32_t>& networks,
                        const std::string& name = "n") {
  domain::Node node;
  node.name = name;
  std::string devices;
  for (size_t i = 0; i < networks.size(); ++i) {
    if (i > 0) devices += ',';
    devices += fmt::format(R"({{"id":"{}{}","index":{},"count":7,"devmem":65536,"devcore":100,)"
                           R"("type":"{}","health":true)",
                           name, i, i, word);
    if (networks[i] >= 0)
      devices += fmt::format(R"(,"custominfo":{{"NetworkID":{}}})", networks[i]);
    devices += '}';
  }
  node.annotations["hami.io/node-register-" + word] = "[" + devices + "]";
  return node;
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
    NodeFacts facts;
    facts.name = node.name;
    facts.devices = registry->DevicesOf(node, nullptr);
    facts.annotations = node.annotations;
    cluster.PutNode(facts);
    return cluster.Place(*request, {}).allocation.has_value();
  };
  EXPECT_TRUE(fits(nullptr));
  EXPECT_TRUE(fits("true"));
  EXPECT_FALSE(fits("false"));
}

// Memory is all that bounds templates: four of 10 AI cores each on a card of 20.
TEST_F(RulesTest, AscendTemplatesAreBoundByMemoryAlone) {
  domain::Node node;
  node.name = "n";
  node.annotations["hami.io/node-register-Ascend910B4"] =
      R"([{"id":"n0","count":7,"devmem":65536,"devcore":20,"type":"Ascend910B4","health":true}])";
  AddNode(node);
  const Texts half = {{"huawei.com/Ascend910B4", "1"}, {"huawei.com/Ascend910B4-memory", "16384"}};
  for (int i = 0; i < 4; ++i) {
    ASSERT_FALSE(Put(PodOf({half})).empty()) << i << why_;
    EXPECT_EQ(slices_[0].shape, "vir10_3c_16g");
    EXPECT_EQ(slices_[0].cores, 0);
  }
  EXPECT_TRUE(Put(PodOf({half})).empty());
  EXPECT_TRUE(Says("CardInsufficientMemory")) << why_;
}

// --- Moore Threads ---

TEST_F(RulesTest, MooreThreadsContainersShareTheirDevice) {
  domain::Node node;
  node.name = "mt";
  node.capacity = {{"mthreads.com/sgpu-core", "32"}, {"mthreads.com/sgpu-memory", "192"}};
  AddNode(node);
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

// --- MetaX ---

domain::Node MetaxNode(const std::string& name, const std::vector<int32_t>& zones) {
  domain::Node node;
  node.name = name;
  std::string devices;
  for (size_t i = 0; i < zones.size(); ++i) {
    if (i > 0) devices += ',';
    devices += fmt::format(R"({{"uuid":"{}-{}","totalDevCount":16,"totalCompute":100,)"
                           R"("totalVRam":65536,"healthy":true,"linkZone":{}}})",
                           name, i, zones[i]);
  }
  node.annotations["metax-tech.com/node-gpu-devices"] = "[" + devices + "]";
  return node;
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
  domain::Node node;
  node.name = "mx";
  node.annotations["metax-tech.com/node-gpu-devices"] =
      R"([{"uuid":"a","totalDevCount":16,"totalCompute":100,"totalVRam":65536,"healthy":false}])";
  AddNode(node);
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

TEST(MetaxTopology, TheConfigurationWantsItUnlessThePodSaysOtherwise) {
  const auto registry = vendor::Registry::FromDeviceConfig(
      "metax: {resourceVCountName: metax-tech.com/sgpu, resourceVMemoryName: "
      "metax-tech.com/vmemory, resourceVCoreName: metax-tech.com/vcore, sgpuTopologyAware: true}",
      nullptr);
  ASSERT_TRUE(registry) << registry.error().message;
  Cluster cluster(*registry);
  for (const domain::Node& node :
       {MetaxNode("loose", {1, 2, 3, 4}), MetaxNode("tight", {1, 1, 2, 2})}) {
    NodeFacts facts;
    facts.name = node.name;
    facts.devices = registry->DevicesOf(node, nullptr);
    cluster.PutNode(facts);
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

// The devices of one node for a rule that is asked directly; nobody is on them but this pod.
class IdleView : public NodeView {
 public:
  explicit IdleView(const domain::Node& node, std::vector<uint16_t> taken) : taken_(taken) {
    facts_.name = node.name;
    facts_.devices = TestRegistry().DevicesOf(node, nullptr);
    facts_.annotations = node.annotations;
  }
  const NodeFacts& facts() const override { return facts_; }
  size_t size() const override { return facts_.devices.size(); }
  const vendor::Device& device(size_t number) const override { return facts_.devices[number]; }
  DeviceUse use(size_t number) const override {
    return {.slots = static_cast<int32_t>(Tenants(number).size())};
  }
  std::vector<Tenant> Tenants(size_t number) const override {
    const bool taken = std::find(taken_.begin(), taken_.end(), number) != taken_.end();
    return taken ? std::vector<Tenant>{{.same_pod = true}} : std::vector<Tenant>();
  }
  double ScoreBy(const Rule& rule, const domain::Pod& pod) const {
    const auto request = MakeRequest(TestRegistry(), pod, {});
    EXPECT_TRUE(request);
    const vendor::Request& asked = request->containers.at(0).requests.at(0);
    return rule.ScoreNode(
        {.spec = TestRegistry().at(asked.vendor), .request = asked, .pod = *request}, *this,
        taken_);
  }

 private:
  NodeFacts facts_;
  std::vector<uint16_t> taken_;
};

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

// --- Enflame ---

domain::Node DrsNode() {
  domain::Node node;
  node.name = "drs";
  node.annotations["enflame.com/gcu-drs-capacity"] =
      R"({"devices":[{"index":"0","minor":"0","capacity":6}],)"
      R"("profiles":{"1g.6gb":"0","3g.20gb":"1","6g.40gb":"2"}})";
  return node;
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

// --- Kunlun ---

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
  // Of six, two that are linked stay: 0,1,4,5 would leave 2 and 7.
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

TEST_F(RulesTest, KunlunSharesAreOfOneSizeOnACard) {
  domain::Node node;
  node.name = "xpu";
  node.annotations["hami.io/node-register-xpu"] =
      R"([{"id":"X0","count":4,"devmem":98304,"devcore":100,"type":"P800","health":true}])";
  AddNode(node);
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
  domain::Node node;
  node.name = "xpu";
  std::string devices;
  for (int i = 0; i < 8; ++i) {
    devices += fmt::format(R"({}{{"id":"X{}","index":{},"count":4,"devmem":98304,"devcore":100,)"
                           R"("type":"P800","health":true}})",
                           i > 0 ? "," : "", i, i);
  }
  node.annotations["hami.io/node-register-xpu"] = "[" + devices + "]";
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

// --- AWS Neuron ---

domain::Node NeuronNode(const char* type, int devices) {
  domain::Node node;
  node.name = "aws";
  node.capacity = {{"aws.amazon.com/neuron", std::to_string(devices)},
                   {"aws.amazon.com/neuroncore", std::to_string(2 * devices)}};
  node.labels["node.kubernetes.io/instance-type"] = type;
  return node;
}

TEST_F(RulesTest, NeuronCoresAreMasks) {
  AddNode(NeuronNode("inf2.xlarge", 1));
  const Texts core = {{"aws.amazon.com/neuroncore", "1"}};
  ASSERT_FALSE(Put(PodOf({core})).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 1);
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuroncore", "2"}}})).empty());
  EXPECT_TRUE(Says("CardInsufficientCore")) << why_;
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "1"}}})).empty());
  ASSERT_FALSE(Put(PodOf({core})).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 2);
  EXPECT_TRUE(Put(PodOf({core})).empty());
}

TEST_F(RulesTest, NeuronWholeDevicesHaveAllCores) {
  AddNode(NeuronNode("inf2.24xlarge", 6));
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "1"}}})).size(), 1U) << why_;
  EXPECT_EQ(slices_[0].cores, 3);
}

TEST_F(RulesTest, NeuronDevicesAreARun) {
  AddNode(NeuronNode("inf2.24xlarge", 6));
  ASSERT_FALSE(Put(PodOf({{{"aws.amazon.com/neuron", "2"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-0");
  EXPECT_EQ(slices_[1].device, "aws-AWSNeuron-1");
  ASSERT_FALSE(Put(PodOf({{{"aws.amazon.com/neuroncore", "6"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-2");
  EXPECT_EQ(slices_[2].device, "aws-AWSNeuron-4");
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "2"}}})).empty());
}

TEST_F(RulesTest, NeuronRunsOfTrainiumAreAligned) {
  domain::Node node = NeuronNode("trn1.32xlarge", 16);
  node.annotations["hami.io/device-cordon"] = "aws-AWSNeuron-1";
  AddNode(node);
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "2"}}})).empty());
  EXPECT_TRUE(Says("NumaNotFit")) << why_;
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "4"}}})).size(), 4U) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-4");
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "16"}}})).empty());
}

TEST_F(RulesTest, NeuronRunsStepByTheirLengthWithoutAnInstanceType) {
  domain::Node node = NeuronNode("trn1.32xlarge", 16);
  node.labels.clear();
  node.annotations["hami.io/device-cordon"] = "aws-AWSNeuron-8";
  AddNode(node);
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "8"}}})).size(), 8U) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-0");
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "8"}}})).empty());
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuroncore", "8"}}})).size(), 4U) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-12");
  EXPECT_EQ(slices_[0].cores, 3) << "both, as a mask";
}

// --- Vastai ---

TEST_F(RulesTest, VastaiKeepsDiesOfOneCardTogether) {
  domain::Node node;
  node.name = "va";
  std::string devices;
  for (int i = 0; i < 5; ++i) {
    devices += fmt::format(R"({}{{"id":"v{}","index":{},"count":1,"devmem":100,"health":true,)"
                           R"("custominfo":{{"DeviceStrategy":"die","AIC":"card-{}"}}}})",
                           i > 0 ? "," : "", i, i, i < 2 ? 0 : 1);
  }
  node.annotations["hami.io/node-va-register"] = "[" + devices + "]";
  AddNode(node);

  const Names names = Put(PodOf({{{"vastaitech.com/va", "3"}}}));

  EXPECT_EQ(Sorted(names), (Names{"v2", "v3", "v4"})) << why_;
}

}  // namespace
}  // namespace hami::placement
