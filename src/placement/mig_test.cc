// SPDX-License-Identifier: Apache-2.0

#include "placement/mig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t k1g = 4864;
constexpr int32_t k2g = 9856;
constexpr int32_t k3g = 19968;

TEST(MigBitsTest, AreTheSlices) {
  EXPECT_EQ(MigBits(0, 1), 1U);
  EXPECT_EQ(MigBits(4, 4), 0xf0U);
  EXPECT_EQ(MigBits(0, 64), ~uint64_t{0});
  for (const auto& [start, size] : {std::pair{-1, 2}, {64, 1}, {60, 5}, {0, 65}, {3, 0}, {3, -4}}) {
    EXPECT_EQ(MigBits(start, size), 0U) << start << ' ' << size;
  }
}

// Contract 9: 3g, 2g, 1g, 1g on an empty card start at 4, 0, 3, 2.
TEST(MigTest, InstancesTakeTheEndsThatHarmLeast) {
  const vendor::Device device = TestMigDevice("GPU-a");
  uint64_t taken = 0;
  std::vector<int32_t> starts;
  for (const int32_t memory : {k3g, k2g, k1g, k1g}) {
    const std::optional<MigChoice> choice = ChooseMig(device, taken, memory, 0, false);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->profile->memory_mib, memory);
    starts.push_back(choice->start);
    taken |= MigBits(choice->start, choice->size);
  }
  EXPECT_THAT(starts, ElementsAre(4, 0, 3, 2));
  EXPECT_FALSE(ChooseMig(device, taken, 1, 0, false));
}

TEST(MigTest, FullCardsTakeNothing) {
  const vendor::Device device = TestMigDevice("GPU-a");
  EXPECT_FALSE(ChooseMig(device, MigBits(0, 4) | MigBits(4, 4), k1g, 0, false));
  uint64_t taken = 0;
  for (int i = 0; i < 3; ++i) {
    const std::optional<MigChoice> choice = ChooseMig(device, taken, k2g, 0, false);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->start, 2 * i);
    taken |= MigBits(choice->start, choice->size);
  }
  EXPECT_FALSE(ChooseMig(device, taken, k2g, 0, false));
}

TEST(MigTest, TheSmallestProfileThatServes) {
  const vendor::Device device = TestMigDevice("GPU-a");
  EXPECT_EQ(ChooseMig(device, 0, 1, 0, false)->profile->name, "1g.5gb");
  EXPECT_EQ(ChooseMig(device, 0, k1g + 1, 0, false)->profile->name, "2g.10gb");
  EXPECT_EQ(ChooseMig(device, 0, 1, 30, false)->profile->name, "3g.20gb");
  EXPECT_FALSE(ChooseMig(device, 0, 40960, 0, false));
}

TEST(MigTest, AWholeGpuIsItsLargestProfile) {
  const vendor::Device device = TestMigDevice("GPU-a");
  const std::optional<MigChoice> choice = ChooseMig(device, 0, 40960, 100, true);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->profile->name, "7g.40gb");
  EXPECT_FALSE(ChooseMig(device, MigBits(3, 1), 40960, 100, true));
}

TEST(MigTest, TheFirstOfAllChoicesIsTheOneTaken) {
  const vendor::Device device = TestMigDevice("GPU-a");
  for (const int32_t memory : {1, k1g, k2g, k3g, 30000}) {
    for (uint64_t taken = 0; taken < 256; ++taken) {
      const std::optional<MigChoice> choice = ChooseMig(device, taken, memory, 0, false);
      std::optional<MigChoice> first;
      for (const MigChoice& one : MigChoices(device, memory, 0, false)) {
        if (!first && (MigBits(one.start, one.size) & taken) == 0) first = one;
      }
      ASSERT_EQ(choice.has_value(), first.has_value());
      if (!choice) continue;
      EXPECT_EQ(choice->profile->name, first->profile->name);
      EXPECT_EQ(choice->start, first->start);
    }
  }
}

// --- On a cluster ---

Cluster MigCluster(int gpus) {
  Cluster cluster(TestRegistry());
  NodeFacts node;
  node.name = "node";
  for (int i = 0; i < gpus; ++i) {
    vendor::Device device = TestMigDevice("GPU-" + std::to_string(i));
    device.index = i;
    node.devices.push_back(device);
  }
  cluster.PutNode(node);
  return cluster;
}

TEST(MigTest, OneContainerMayHaveSeveralInstancesOfOneGpu) {
  const Cluster cluster = MigCluster(1);
  const Decision decision = cluster.Place(TestRequest({{.count = 3, .memory_mib = 9000}}), {});
  ASSERT_TRUE(decision.allocation);
  std::vector<int32_t> starts;
  for (const domain::Slice& slice : decision.allocation->slices) {
    EXPECT_EQ(slice.device, "GPU-0");
    ASSERT_TRUE(slice.mig);
    EXPECT_EQ(slice.mig->profile, "2g.10gb");
    EXPECT_EQ(slice.mig->size, 2);
    // The profile's, not the request's (contract 2.3).
    EXPECT_EQ(slice.memory_mib, k2g);
    EXPECT_EQ(slice.cores, 29);
    starts.push_back(slice.mig->start);
  }
  EXPECT_THAT(starts, ElementsAre(0, 2, 4));
}

TEST(MigTest, AFourthInstanceHasNoPlace) {
  const Cluster cluster = MigCluster(1);
  const Decision decision = cluster.Place(TestRequest({{.count = 4, .memory_mib = 9000}}), {});
  EXPECT_FALSE(decision.allocation);
  ASSERT_EQ(decision.misfits.size(), 1U);
  EXPECT_THAT(decision.misfits[0].text, HasSubstr("CardMigTopologyInfeasible"));
}

TEST(MigTest, PercentagesAreOfTheGpusMemory) {
  const Cluster cluster = MigCluster(1);
  const Decision decision = cluster.Place(TestRequest({{.memory_pct = 25}}), {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].mig->profile, "3g.20gb");  // 10240 MiB
}

TEST(MigTest, InstancesOfInitContainersStay) {
  // Two times 3g beside each other, the init container's is not given back.
  Cluster cluster = MigCluster(1);
  const Request request =
      TestRequest({{.memory_mib = k3g, .kind = domain::ContainerKind::kInit}, {.memory_mib = k3g}});
  const Decision decision = cluster.Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_NE(decision.allocation->slices[0].mig->start, decision.allocation->slices[1].mig->start);
  PodFacts pod = TestPod("a", request, *decision.allocation);
  pod.init_done = true;
  cluster.PutPod(pod);
  EXPECT_EQ(cluster.UseOf("node")[0].memory_mib, 2 * k3g);
  EXPECT_FALSE(cluster.Place(TestRequest({{.memory_mib = 1000}}), {}).allocation);
}

TEST(MigTest, RemovedPodsFreeTheirPlaces) {
  Cluster cluster = MigCluster(1);
  const Request request = TestRequest({{.memory_mib = 0}});
  const Decision decision = cluster.Place(request, {});
  ASSERT_TRUE(decision.allocation);
  cluster.PutPod(TestPod("a", request, *decision.allocation));
  EXPECT_FALSE(cluster.Place(TestRequest({{.memory_mib = 1000}}), {}).allocation);
  cluster.RemovePod("a");
  EXPECT_TRUE(cluster.Place(TestRequest({{.memory_mib = 1000}}), {}).allocation);
}

// Contract 1.5: what is held and the mode of the GPU contradict each other.
TEST(MigTest, AMissingEntryMakesTheGpuUnhealthy) {
  Cluster cluster = MigCluster(2);
  cluster.PutPod(TestHolder("a", "node", {"GPU-0"}, 1000, 0));
  Request request = TestRequest({{.count = 1, .memory_mib = 1000}});
  request.selectors[0].use_ids = {"GPU-0"};
  Decision decision = cluster.Place(request, {});
  EXPECT_FALSE(decision.allocation);
  EXPECT_THAT(decision.misfits[0].text, HasSubstr("1/2 CardNotHealth"));
  request.selectors[0].use_ids = {"GPU-1"};
  EXPECT_TRUE(cluster.Place(request, {}).allocation);
  cluster.RemovePod("a");
  request.selectors[0].use_ids = {"GPU-0"};
  EXPECT_TRUE(cluster.Place(request, {}).allocation);
}

PodFacts InstanceHolder(const char* uid, const char* device) {
  PodFacts pod = TestHolder(uid, "node", {device}, k1g, 15);
  pod.slices[0].mig = domain::MigPlacement{.profile = "1g.5gb", .start = 6, .size = 1};
  return pod;
}

TEST(MigTest, AnInstanceOnASharedGpuMakesItUnhealthy) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node", {{.id = "GPU-0"}}));
  cluster.PutPod(InstanceHolder("a", "GPU-0"));
  const Decision decision = cluster.Place(TestRequest({{.memory_mib = 100}}), {});
  EXPECT_FALSE(decision.allocation);
  EXPECT_EQ(decision.misfits[0].text, "1/1 CardNotHealth");
}

TEST(MigTest, AnInstanceOfAnUnknownGpuMakesAllUnhealthy) {
  Cluster cluster = MigCluster(2);
  cluster.PutPod(InstanceHolder("a", "GPU-gone"));
  const Decision decision = cluster.Place(TestRequest({{.memory_mib = 100}}), {});
  EXPECT_FALSE(decision.allocation);
  EXPECT_EQ(decision.misfits[0].text, "2/2 CardNotHealth");
  cluster.RemovePod("a");
  EXPECT_TRUE(cluster.Place(TestRequest({{.memory_mib = 100}}), {}).allocation);
}

TEST(MigTest, OverlappingInstancesAreTold) {
  Cluster cluster = MigCluster(1);
  cluster.PutPod(InstanceHolder("a", "GPU-0"));
  EXPECT_TRUE(cluster.Overcommitted().empty());
  cluster.PutPod(InstanceHolder("b", "GPU-0"));
  EXPECT_THAT(cluster.Overcommitted(), ElementsAre(HasSubstr("instances overlap")));
}

// Spread would put the two small instances on different GPUs, where each takes the place of a large
// one.
TEST(MigTest, AnotherDistributionIsFound) {
  const Cluster cluster = MigCluster(2);
  const Request request =
      TestRequest({{.memory_mib = 1000}, {.memory_mib = 1000}, {.count = 3, .memory_mib = k3g}});
  const Decision decision = cluster.Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].device, decision.allocation->slices[1].device);
}

}  // namespace
}  // namespace hami::placement
