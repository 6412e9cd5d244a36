// SPDX-License-Identifier: Apache-2.0

#include "placement/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The filter matrix of contract 9: node1 {d1 8000 MiB used 2000/25, d2 idle}, node2 {d3 idle,
// d4 used 6000/75}; one GPU with 1000 MiB and 20 cores.
struct MatrixCase {
  NodePolicy node;
  DeviceKey device;
  const char* want_node;
  const char* want_device;
};

Cluster MatrixCluster() {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node1", {{.id = "d1"}, {.id = "d2"}}));
  cluster.PutNode(TestNode("node2", {{.id = "d3"}, {.id = "d4"}}));
  cluster.PutPod(TestHolder("a", "node1", {"d1"}, 2000, 25));
  cluster.PutPod(TestHolder("b", "node2", {"d4"}, 6000, 75));
  return cluster;
}

class FilterMatrix : public ::testing::TestWithParam<MatrixCase> {};

TEST_P(FilterMatrix, ChoosesNodeAndDevice) {
  const Cluster cluster = MatrixCluster();
  Request request = TestRequest({{.memory_mib = 1000, .cores = 20}});
  request.policy.node = GetParam().node;
  request.policy.device.keys = {GetParam().device};

  const Decision decision = cluster.Place(request, {});

  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->node, GetParam().want_node);
  ASSERT_EQ(decision.allocation->slices.size(), 1U);
  EXPECT_EQ(decision.allocation->slices[0].device, GetParam().want_device);
  EXPECT_EQ(decision.allocation->slices[0].memory_mib, 1000);
  EXPECT_EQ(decision.allocation->slices[0].cores, 20);
  EXPECT_THAT(decision.misfits, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Contract, FilterMatrix,
    ::testing::Values(MatrixCase{NodePolicy::kBinpack, DeviceKey::kBinpack, "node2", "d4"},
                      MatrixCase{NodePolicy::kBinpack, DeviceKey::kSpread, "node2", "d3"},
                      MatrixCase{NodePolicy::kSpread, DeviceKey::kBinpack, "node1", "d1"},
                      MatrixCase{NodePolicy::kSpread, DeviceKey::kSpread, "node1", "d2"}));

TEST(ClusterTest, AnInitContainerAndAnAppContainerShareTheCard) {
  const Cluster cluster = MatrixCluster();
  Request request = TestRequest(
      {{.memory_mib = 5000, .kind = domain::ContainerKind::kInit}, {.memory_mib = 4000}});
  request.policy.device.keys = {DeviceKey::kBinpack};

  const Decision decision = cluster.Place(request, {});

  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->node, "node2");
  ASSERT_EQ(decision.allocation->slices.size(), 2U);
  EXPECT_EQ(decision.allocation->slices[0].device, "d3");
  EXPECT_EQ(decision.allocation->slices[1].device, "d3");
}

TEST(ClusterTest, APodOnAnUnknownNodeCountsOnceTheNodeComes) {
  Cluster cluster(TestRegistry());
  cluster.PutPod(TestHolder("a", "late", {"GPU-a"}, 3000, 10));
  EXPECT_EQ(cluster.node_count(), 0U);
  EXPECT_FALSE(cluster.HasNode("late"));
  EXPECT_THAT(cluster.NodeNames(), IsEmpty());
  EXPECT_FALSE(cluster.Place(TestRequest({{.memory_mib = 10}}), {}).allocation);
  cluster.PutNode(TestNode("late", {{.id = "GPU-a"}}));
  EXPECT_THAT(cluster.UseOf("late"), ElementsAre(DeviceUse{1, 3000, 10}));
  EXPECT_FALSE(cluster.Place(TestRequest({{.memory_mib = 6000}}), {}).allocation);
}

TEST(ClusterTest, ANodeThatGoesAndComesKeepsItsPods) {
  Cluster cluster = MatrixCluster();
  cluster.RemoveNode("node1");
  EXPECT_EQ(cluster.node_count(), 1U);
  EXPECT_EQ(cluster.pod_count(), 2U);
  const std::vector<std::string_view> names = {"node1"};
  EXPECT_EQ(cluster.Place(TestRequest({{.memory_mib = 10}}), names).misfits.at(0).text,
            "node unregistered");
  cluster.PutNode(TestNode("node1", {{.id = "d2"}, {.id = "d1"}}));  // in another order
  EXPECT_THAT(cluster.UseOf("node1"), ElementsAre(DeviceUse{}, DeviceUse{1, 2000, 25}));
  ASSERT_EQ(cluster.PodsOn("node1").size(), 1U);
  EXPECT_EQ(cluster.PodsOn("node1")[0].slices[0].device, "d1");
}

TEST(ClusterTest, ADeviceThatGoesKeepsItsSlices) {
  Cluster cluster = MatrixCluster();
  cluster.PutNode(TestNode("node1", {{.id = "d2"}}));
  EXPECT_THAT(cluster.UseOf("node1"), ElementsAre(DeviceUse{}));
  ASSERT_TRUE(cluster.FindPod("a"));
  EXPECT_EQ(cluster.FindPod("a")->slices[0].device, "d1");
  EXPECT_EQ(cluster.FindPod("a")->slices[0].vendor, "NVIDIA");
  cluster.PutNode(TestNode("node1", {{.id = "d1"}, {.id = "d2"}}));
  EXPECT_THAT(cluster.UseOf("node1"), ElementsAre(DeviceUse{1, 2000, 25}, DeviceUse{}));
}

TEST(ClusterTest, AHealthyCardMayBecomeIllAndWellAgain) {
  Cluster cluster = MatrixCluster();
  NodeFacts node = TestNode("node2", {{.id = "d3"}, {.id = "d4"}});
  for (vendor::Device& device : node.devices) device.healthy = false;
  cluster.PutNode(node);
  EXPECT_EQ(cluster.Place(TestRequest({{.memory_mib = 10}}), {}).allocation->node, "node1");
  for (vendor::Device& device : node.devices) device.healthy = true;
  cluster.PutNode(node);
  EXPECT_EQ(cluster.Place(TestRequest({{.memory_mib = 10}}), {}).allocation->node, "node2");
}

TEST(ClusterTest, PutReplacesByUid) {
  Cluster cluster = MatrixCluster();
  cluster.PutPod(TestHolder("a", "node2", {"d3"}, 100, 1));
  EXPECT_EQ(cluster.pod_count(), 2U);
  EXPECT_EQ(cluster.UseOf("node1")[0], DeviceUse{});
  EXPECT_EQ(cluster.UseOf("node2")[0], (DeviceUse{1, 100, 1}));
  cluster.RemovePod("a");
  cluster.RemovePod("a");
  EXPECT_EQ(cluster.pod_count(), 1U);
  EXPECT_FALSE(cluster.FindPod("a"));
}

TEST(ClusterTest, PodsComeBackAsTheyWerePut) {
  Cluster cluster = MatrixCluster();
  PodFacts pod = TestHolder("x", "node1", {"d2", "unheard-of"}, 500, 5);
  pod.kinds = {domain::ContainerKind::kSidecar, domain::ContainerKind::kApp};
  pod.slices[0].shape = "3g.20gb";
  pod.slices[1].container = 1;
  pod.slices[1].mig = domain::MigPlacement{.profile = "1g.5gb", .start = 3, .size = 1};
  pod.priority = 7;
  pod.cpu_milli = 250;
  pod.memory_bytes = 1 << 20;
  cluster.PutPod(pod);
  const std::optional<PodFacts> found = cluster.FindPod("x");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->namespace_name, "others");
  EXPECT_EQ(found->name, "x");
  EXPECT_EQ(found->node, "node1");
  EXPECT_EQ(found->kinds, pod.kinds);
  EXPECT_EQ(found->slices, pod.slices);
  EXPECT_EQ(found->priority, 7);
  EXPECT_EQ(found->cpu_milli, 250);
  EXPECT_EQ(found->memory_bytes, 1 << 20);
}

TEST(ClusterTest, OnlyTheNamedNodesAreTried) {
  const Cluster cluster = MatrixCluster();
  const std::vector<std::string_view> names = {"unknown", "node1"};
  const Decision decision = cluster.Place(TestRequest({{.memory_mib = 10}}), names);
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->node, "node1");
  EXPECT_EQ(cluster.PlaceOn(TestRequest({{.memory_mib = 10}}), "node2").allocation->node, "node2");
  EXPECT_FALSE(cluster.PlaceOn(TestRequest({{.memory_mib = 10}}), "unknown").allocation);
}

TEST(ClusterTest, ANameThatRepeatsIsOneNode) {
  const Cluster cluster = MatrixCluster();
  const std::vector<std::string_view> names = {"node2", "node1", "node2", "node1", "node1"};
  std::vector<Misfit> misfits;
  EXPECT_EQ(cluster.Fitting(TestRequest({{.memory_mib = 10}}), names, &misfits).size(), 2U);
  EXPECT_TRUE(misfits.empty());
  const Decision decision = cluster.Place(TestRequest({{.count = 9, .memory_mib = 10}}), names);
  ASSERT_EQ(decision.misfits.size(), 2U);
  EXPECT_EQ(decision.misfits[0].node, "node2");
  EXPECT_EQ(decision.misfits[1].node, "node1");
  // Each time anew.
  EXPECT_EQ(cluster.Fitting(TestRequest({{.memory_mib = 10}}), names, nullptr).size(), 2U);
}

TEST(ClusterTest, FittingScoresAllThatFit) {
  const Cluster cluster = MatrixCluster();
  Request request = TestRequest({{.count = 2, .memory_mib = 3000}});
  std::vector<Misfit> misfits;
  std::vector<NodeScore> fitting = cluster.Fitting(request, {}, &misfits);
  ASSERT_EQ(fitting.size(), 1U);
  EXPECT_EQ(fitting[0].node, "node1");
  EXPECT_NEAR(fitting[0].score, 10 * (1.0 / 20 + 25.0 / 200 + 2000.0 / 16000), 1e-9);
  ASSERT_EQ(misfits.size(), 1U);
  EXPECT_EQ(misfits[0].node, "node2");
  EXPECT_EQ(misfits[0].text, "1/2 AllocatedCardsInsufficientRequest, 1/2 CardInsufficientMemory");
  request.policy.node = NodePolicy::kSpread;
  fitting = cluster.Fitting(request, {}, nullptr);
  ASSERT_EQ(fitting.size(), 1U);
  EXPECT_LT(fitting[0].score, 0);
}

// Contract 11.21: HAMi adds up devices of all vendors, whichever the pod asks for.
TEST(ClusterTest, DevicesOfOtherVendorsDoNotCountForANode) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("idle", {{.id = "GPU-a"}, {.id = "DCU-a", .word = "DCU"}}));
  cluster.PutNode(TestNode("used", {{.id = "GPU-b"}}));
  PodFacts dcu = TestHolder("dcu", "idle", {"DCU-a"}, 8000, 100);
  dcu.slices[0].vendor = "DCU";
  cluster.PutPod(dcu);
  cluster.PutPod(TestHolder("gpu", "used", {"GPU-b"}, 1000, 10));
  const Decision decision = cluster.Place(TestRequest({{.memory_mib = 1000}}), {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->node, "used") << "the fuller one for who asks for a GPU";
}

TEST(ClusterTest, OvercommitmentIsTold) {
  Cluster cluster = MatrixCluster();
  EXPECT_THAT(cluster.Overcommitted(), IsEmpty());
  cluster.PutPod(TestHolder("c", "node2", {"d4"}, 2001, 0));
  EXPECT_THAT(cluster.Overcommitted(),
              ElementsAre("node2 d4: slots 2 of 10, memory 8001 of 8000 MiB, cores 75 of 100"));
}

// More than eight devices, more than 64 models: where the short forms of summaries end.
TEST(ClusterTest, LargeNodesAndManyModels) {
  Cluster cluster(TestRegistry());
  for (int n = 0; n < 90; ++n) {
    std::vector<TestDevice> devices;
    for (int i = 0; i < 16; ++i) {
      devices.push_back({.id = "GPU-" + std::to_string(n) + "-" + std::to_string(i),
                         .type = "NVIDIA model-" + std::to_string(n) + "-"});
    }
    cluster.PutNode(TestNode("node-" + std::to_string(n), devices));
  }
  Request request = TestRequest({{.count = 16, .memory_mib = 8000}});
  for (const int n : {0, 25, 63, 64, 89}) {
    request.selectors[0].use_types = {"model-" + std::to_string(n) + "-"};
    const Decision decision = cluster.Place(request, {});
    ASSERT_TRUE(decision.allocation) << n;
    EXPECT_EQ(decision.allocation->node, "node-" + std::to_string(n));
    EXPECT_EQ(decision.allocation->slices.size(), 16U);
  }
  request.containers[0].requests[0].count = 17;
  EXPECT_FALSE(cluster.Place(request, {}).allocation);
}

// Annotations may say anything: sums stay sums, and what was there before comes back.
TEST(ClusterTest, MoreThanThereIsIsAllOfIt) {
  Cluster cluster = MatrixCluster();
  for (const char* uid : {"x", "y", "z"}) {
    PodFacts pod =
        TestHolder(uid, "node1", std::vector<std::string>(400, "d2"), INT32_MAX, INT32_MAX);
    pod.slices[0].memory_mib = INT32_MIN;
    pod.slices[0].cores = -5;
    cluster.PutPod(pod);
  }
  EXPECT_GT(cluster.UseOf("node1")[1].memory_mib, 8000);
  EXPECT_GT(cluster.UseOf("node1")[1].cores, 100);
  EXPECT_EQ(cluster.Overcommitted().size(), 1U);
  for (const char* uid : {"x", "y", "z"}) cluster.RemovePod(uid);
  EXPECT_EQ(cluster.UseOf("node1")[1], DeviceUse{});
}

TEST(ClusterTest, APodsVendorIsThatOfItsDevice) {
  Cluster cluster(TestRegistry());
  PodFacts pod = TestHolder("a", "node", {"DCU-0"}, 100, 1);
  pod.slices[0].vendor = "a product's name";
  cluster.PutPod(pod);
  cluster.PutNode(TestNode("node", {{.id = "DCU-0", .word = "DCU"}}));
  EXPECT_EQ(cluster.FindPod("a")->slices[0].vendor, "DCU");
  ASSERT_EQ(cluster.QuotaUses().size(), 1U);
  EXPECT_EQ(cluster.QuotaUses()[0].vendor, TestVendor("DCU"));
}

}  // namespace
}  // namespace hami::placement
