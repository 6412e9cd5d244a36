// SPDX-License-Identifier: Apache-2.0
//
// Each row of contract 1.8, in its order, with the words and counts that people see.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using domain::ContainerKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two cards of 8000 MiB; what one test changes of them is in `change`.
NodeFacts TwoCards() { return TestNode("node", {{.id = "GPU-a"}, {.id = "GPU-b"}}); }

std::string TextOf(const Cluster& cluster, const Request& request) {
  const Decision decision = cluster.Place(request, {});
  if (decision.allocation) return "fits on " + decision.allocation->slices.at(0).device;
  return decision.misfits.at(0).text;
}

Cluster With(const NodeFacts& node, const std::vector<PodFacts>& pods = {}) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(node);
  for (const PodFacts& pod : pods) cluster.PutPod(pod);
  return cluster;
}

TEST(FitTest, UnhealthyCardsAreRefused) {
  NodeFacts node = TwoCards();
  node.devices[0].healthy = false;
  EXPECT_EQ(TextOf(With(node), TestRequest({{.memory_mib = 1000}})), "fits on GPU-b");
  node.devices[1].healthy = false;
  EXPECT_EQ(TextOf(With(node), TestRequest({{.memory_mib = 1000}})), "2/2 CardNotHealth");
}

TEST(FitTest, CordonedCardsAreRefusedAfterHealth) {
  NodeFacts node = TwoCards();
  node.devices[0].healthy = false;
  node.devices[0].cordoned = true;
  node.devices[1].cordoned = true;
  EXPECT_EQ(TextOf(With(node), TestRequest({{.memory_mib = 1000}})),
            "1/2 CardCordoned, 1/2 CardNotHealth");
}

TEST(FitTest, TypesMatchAsPartsWhateverTheCase) {
  NodeFacts node = TwoCards();
  node.devices[1].type = "NVIDIA Tesla T4";
  Request request = TestRequest({{.memory_mib = 1000}});
  request.selectors[0].use_types = {"tesla"};
  EXPECT_EQ(TextOf(With(node), request), "fits on GPU-b");
  request.selectors[0].use_types = {"H100"};
  EXPECT_EQ(TextOf(With(node), request), "2/2 CardTypeMismatch");
  request.selectors[0].use_types = {};
  request.selectors[0].avoid_types = {"t4", "a10"};
  EXPECT_EQ(TextOf(With(node), request), "2/2 CardTypeMismatch");
}

TEST(FitTest, TheModeMustStandInTheAnnotation) {
  Request request = TestRequest({{.memory_mib = 1000}});
  request.selectors[0].modes = "mig";
  EXPECT_EQ(TextOf(With(TwoCards()), request), "2/2 CardTypeMismatch");
  request.selectors[0].modes = "hami-core,mig";
  EXPECT_EQ(TextOf(With(TwoCards()), request), "fits on GPU-b");
}

TEST(FitTest, IdsMatchExactly) {
  Request request = TestRequest({{.memory_mib = 1000}});
  request.selectors[0].use_ids = {"GPU-a"};
  EXPECT_EQ(TextOf(With(TwoCards()), request), "fits on GPU-a");
  request.selectors[0].use_ids = {"GPU"};
  EXPECT_EQ(TextOf(With(TwoCards()), request), "2/2 CardUuidMismatch");
  request.selectors[0].use_ids = {};
  request.selectors[0].avoid_ids = {"GPU-a", "GPU-b"};
  EXPECT_EQ(TextOf(With(TwoCards()), request), "2/2 CardUuidMismatch");
}

TEST(FitTest, SlotsRunOut) {
  NodeFacts node = TwoCards();
  node.devices[0].slots = 1;
  node.devices[1].slots = 2;
  const std::vector<PodFacts> pods = {TestHolder("1", "node", {"GPU-a", "GPU-b"}, 100, 1),
                                      TestHolder("2", "node", {"GPU-b"}, 100, 1)};
  EXPECT_EQ(TextOf(With(node, pods), TestRequest({{.memory_mib = 1000}})),
            "2/2 CardTimeSlicingExhausted");
}

TEST(FitTest, MutexWantsIdleCards) {
  Request request = TestRequest({{.memory_mib = 1000}});
  request.policy.device.only_idle = true;
  const PodFacts holder = TestHolder("1", "node", {"GPU-b"}, 100, 1);
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), request), "fits on GPU-a");
  const PodFacts both = TestHolder("1", "node", {"GPU-a", "GPU-b"}, 100, 1);
  EXPECT_EQ(TextOf(With(TwoCards(), {both}), request), "2/2 ExclusiveDeviceAllocateConflict");
}

TEST(FitTest, MemoryRunsOut) {
  const PodFacts holder = TestHolder("1", "node", {"GPU-a", "GPU-b"}, 7001, 1);
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.memory_mib = 999}})),
            "fits on GPU-b");
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.memory_mib = 1000}})),
            "2/2 CardInsufficientMemory");
}

TEST(FitTest, PercentagesAreOfEachCard) {
  NodeFacts node = TwoCards();
  node.devices[1].memory_mib = 4000;
  const Decision decision = With(node).Place(TestRequest({{.count = 2, .memory_pct = 50}}), {});
  ASSERT_TRUE(decision.allocation);
  for (const domain::Slice& slice : decision.allocation->slices) {
    EXPECT_EQ(slice.memory_mib, slice.device == "GPU-a" ? 4000 : 2000);
  }
}

TEST(FitTest, CoresRunOut) {
  const PodFacts holder = TestHolder("1", "node", {"GPU-a", "GPU-b"}, 100, 60);
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.memory_mib = 100, .cores = 40}})),
            "fits on GPU-b");
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.memory_mib = 100, .cores = 41}})),
            "2/2 CardInsufficientCore");
}

TEST(FitTest, ACardThatIsAskedAloneMustBeIdle) {
  const PodFacts holder = TestHolder("1", "node", {"GPU-a", "GPU-b"}, 100, 0);
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.memory_mib = 100, .cores = 100}})),
            "2/2 ExclusiveDeviceAllocateConflict");
  // More than 100 are scaled cores: 100 of them are a share like any other (contract 4.8).
  NodeFacts node = TwoCards();
  node.devices[0].cores = 150;
  EXPECT_EQ(TextOf(With(node, {holder}), TestRequest({{.memory_mib = 100, .cores = 100}})),
            "fits on GPU-a");
}

TEST(FitTest, MoreThanAllCoresAreAllCores) {
  const Decision decision =
      With(TwoCards()).Place(TestRequest({{.memory_mib = 100, .cores = 250}}), {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].cores, 100);
}

TEST(FitTest, ACardWithoutCoresLeftTakesNobody) {
  const PodFacts holder = TestHolder("1", "node", {"GPU-a", "GPU-b"}, 100, 100);
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.memory_mib = 100}})),
            "2/2 CardComputeUnitsExhausted");
}

TEST(FitTest, TooFewCardsOfThoseThatFit) {
  const PodFacts holder = TestHolder("1", "node", {"GPU-a"}, 7500, 1);
  EXPECT_EQ(TextOf(With(TwoCards(), {holder}), TestRequest({{.count = 2, .memory_mib = 1000}})),
            "1/2 AllocatedCardsInsufficientRequest, 1/2 CardInsufficientMemory");
}

TEST(FitTest, TooFewCards) {
  EXPECT_EQ(TextOf(With(TwoCards()), TestRequest({{.count = 3, .memory_mib = 1000}})),
            "NodeInsufficientDevice");
  EXPECT_EQ(TextOf(With(TwoCards()), TestRequest({{.memory_mib = 10, .word = "DCU"}})),
            "NodeInsufficientDevice");
}

TEST(FitTest, NodesWithoutDevicesAreUnregistered) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("plain", {}));
  const std::vector<std::string_view> names = {"plain", "unheard-of"};
  const Decision decision = cluster.Place(TestRequest({{.memory_mib = 10}}), names);
  EXPECT_FALSE(decision.allocation);
  ASSERT_EQ(decision.misfits.size(), 2U);
  EXPECT_EQ(decision.misfits[0].node, "plain");
  EXPECT_EQ(decision.misfits[0].text, "node unregistered");
  EXPECT_EQ(decision.misfits[1].node, "unheard-of");
  EXPECT_EQ(decision.misfits[1].text, "node unregistered");
  EXPECT_FALSE(decision.nearest);
}

// --- NUMA (row 4) ---

NodeFacts FourCards() {
  return TestNode("node", {{.id = "GPU-0", .numa = 0},
                           {.id = "GPU-1", .numa = 0},
                           {.id = "GPU-2", .numa = 1},
                           {.id = "GPU-3", .numa = 1}});
}

TEST(FitTest, NumaBindKeepsAContainerOnOneNumaNode) {
  const PodFacts holder = TestHolder("1", "node", {"GPU-3"}, 7500, 1);
  Request request = TestRequest({{.count = 2, .memory_mib = 1000}});
  request.policy.numa_bind = true;
  const Decision decision = With(FourCards(), {holder}).Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].device, "GPU-1");
  EXPECT_EQ(decision.allocation->slices[1].device, "GPU-0");
}

TEST(FitTest, NumaBindCountsWhatItGaveUp) {
  const std::vector<PodFacts> pods = {TestHolder("1", "node", {"GPU-3"}, 7500, 1),
                                      TestHolder("2", "node", {"GPU-0"}, 7500, 1)};
  Request request = TestRequest({{.count = 2, .memory_mib = 1000}});
  request.policy.numa_bind = true;
  EXPECT_EQ(TextOf(With(FourCards(), pods), request),
            "1/4 AllocatedCardsInsufficientRequest, 1/4 NumaNotFit, 2/4 CardInsufficientMemory");
  request.policy.numa_bind = false;
  EXPECT_THAT(TextOf(With(FourCards(), pods), request), HasSubstr("fits"));
}

TEST(FitTest, TopologyStaysOnOneNumaNodeToo) {
  NodeFacts node = FourCards();
  node.devices[1].pair_scores = {{"GPU-2", 500}};
  Request request = TestRequest({{.count = 2, .memory_mib = 1000}});
  request.policy.device.topology_aware = true;
  Decision decision = With(node).Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].device, "GPU-2");
  EXPECT_EQ(decision.allocation->slices[1].device, "GPU-1");
  request.policy.numa_bind = true;
  decision = With(node).Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].device, "GPU-3");
  EXPECT_EQ(decision.allocation->slices[1].device, "GPU-2");
}

// --- Several containers ---

TEST(FitTest, AppContainersAddUp) {
  const Cluster cluster = With(TestNode("node", {{.id = "GPU-a"}}));
  EXPECT_TRUE(
      cluster.Place(TestRequest({{.memory_mib = 5000}, {.memory_mib = 3000}}), {}).allocation);
  EXPECT_EQ(TextOf(cluster, TestRequest({{.memory_mib = 5000}, {.memory_mib = 3001}})),
            "1/1 CardInsufficientMemory");
}

TEST(FitTest, InitContainersRunOneAfterTheOther) {
  const Cluster cluster = With(TestNode("node", {{.id = "GPU-a"}}));
  EXPECT_TRUE(cluster
                  .Place(TestRequest({{.memory_mib = 8000, .kind = ContainerKind::kInit},
                                      {.memory_mib = 8000, .kind = ContainerKind::kInit},
                                      {.memory_mib = 8000}}),
                         {})
                  .allocation);
}

TEST(FitTest, SidecarsRunForThePodsLife) {
  const Cluster cluster = With(TestNode("node", {{.id = "GPU-a"}}));
  const auto fits = [&cluster](const std::vector<TestAsk>& asks) {
    return cluster.Place(TestRequest(asks), {}).allocation.has_value();
  };
  const TestAsk sidecar{.memory_mib = 3000, .kind = ContainerKind::kSidecar};
  const auto init = [](int32_t memory) {
    return TestAsk{.memory_mib = memory, .kind = ContainerKind::kInit};
  };
  EXPECT_TRUE(fits({sidecar, {.memory_mib = 5000}}));
  EXPECT_FALSE(fits({sidecar, {.memory_mib = 5001}}));
  // An init container before the sidecar does not see it, one after it does (KEP-753).
  EXPECT_TRUE(fits({init(8000), sidecar, {.memory_mib = 1000}}));
  EXPECT_FALSE(fits({sidecar, init(8000), {.memory_mib = 1000}}));
  EXPECT_TRUE(fits({sidecar, init(5000), {.memory_mib = 1000}}));
}

// Contract 1.5 with faults mended: two slices of one init container add up, and the peak is that
// of the worst moment.
TEST(FitTest, UseIsThatOfTheWorstMoment) {
  Cluster cluster = With(TestNode("node", {{.id = "GPU-a"}}));
  const Request request = TestRequest({{.memory_mib = 6000, .kind = ContainerKind::kInit},
                                       {.memory_mib = 1000, .kind = ContainerKind::kSidecar},
                                       {.memory_mib = 3000, .cores = 30}});
  const Decision decision = cluster.Place(request, {});
  ASSERT_TRUE(decision.allocation);
  PodFacts pod = TestPod("a", request, *decision.allocation);
  cluster.PutPod(pod);
  EXPECT_THAT(cluster.UseOf("node"), ElementsAre(DeviceUse{2, 6000, 30}));
  pod.init_done = true;
  cluster.PutPod(pod);
  EXPECT_THAT(cluster.UseOf("node"), ElementsAre(DeviceUse{2, 4000, 30}));
  cluster.RemovePod("a");
  EXPECT_THAT(cluster.UseOf("node"), ElementsAre(DeviceUse{}));

  PodFacts twice = TestHolder("b", "node", {"GPU-a", "GPU-a"}, 2000, 10);
  twice.kinds = {ContainerKind::kInit};
  cluster.PutPod(twice);
  EXPECT_THAT(cluster.UseOf("node"), ElementsAre(DeviceUse{2, 4000, 20}));
}

TEST(FitTest, ADeviceOfInitContainersOnlyIsGivenBack) {
  Cluster cluster = With(TwoCards());
  PodFacts pod = TestHolder("a", "node", {"GPU-a"}, 5000, 10);
  pod.kinds = {ContainerKind::kInit, ContainerKind::kApp};
  cluster.PutPod(pod);
  EXPECT_EQ(cluster.UseOf("node")[0], (DeviceUse{1, 5000, 10}));
  pod.init_done = true;
  cluster.PutPod(pod);
  EXPECT_EQ(cluster.UseOf("node")[0], DeviceUse{});
}

// Spread puts the small container on the large card, where the large one has its only room.
TEST(FitTest, AnotherDistributionIsFound) {
  const Cluster cluster =
      With(TestNode("node", {{.id = "small", .memory_mib = 4000}, {.id = "large"}}));
  const Decision decision =
      cluster.Place(TestRequest({{.memory_mib = 4000}, {.memory_mib = 8000}}), {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].device, "small");
  EXPECT_EQ(decision.allocation->slices[1].device, "large");
}

TEST(FitTest, ContainersWithoutDevicesHaveNoSlices) {
  const Cluster cluster = With(TwoCards());
  const Decision decision =
      cluster.Place(TestRequest({{.count = 0}, {.memory_mib = 1000}, {.count = 0}}), {});
  ASSERT_TRUE(decision.allocation);
  ASSERT_EQ(decision.allocation->slices.size(), 1U);
  EXPECT_EQ(decision.allocation->slices[0].container, 1);
}

TEST(FitTest, SeveralVendorsInOnePod) {
  NodeFacts node = TestNode("node", {{.id = "DCU-0", .word = "DCU"}, {.id = "GPU-a"}});
  Request request = TestRequest({{.memory_mib = 1000}});
  vendor::Request dcu = request.containers[0].requests[0];
  dcu.vendor = TestVendor("DCU");
  dcu.memory_mib = 2000;
  request.containers[0].requests.push_back(dcu);
  Decision decision = With(node).Place(request, {});
  ASSERT_TRUE(decision.allocation);
  ASSERT_EQ(decision.allocation->slices.size(), 2U);
  EXPECT_EQ(decision.allocation->slices[0].vendor, "NVIDIA");
  EXPECT_EQ(decision.allocation->slices[0].device, "GPU-a");
  EXPECT_EQ(decision.allocation->slices[1].vendor, "DCU");
  EXPECT_EQ(decision.allocation->slices[1].device, "DCU-0");
  EXPECT_EQ(TextOf(With(TwoCards()), request), "NodeInsufficientDevice");
}

// --- Quotas (row 9 and contract 1.11) ---

class QuotaTest : public ::testing::Test {
 protected:
  QuotaTest() : cluster_(With(TwoCards())) {
    PodFacts holder = TestHolder("1", "node", {"GPU-a"}, 1000, 10);
    holder.namespace_name = "default";
    cluster_.PutPod(holder);
  }

  void Limit(const char* name, const char* resource, int64_t limit) {
    cluster_.PutQuota({.namespace_name = "default",
                       .name = name,
                       .limits = {{std::string("limits.nvidia.com/") + resource, limit}}});
  }
  bool Fits(int32_t memory, int32_t cores = 0) {
    return cluster_.Place(TestRequest({{.memory_mib = memory, .cores = cores}}), {})
        .allocation.has_value();
  }

  Cluster cluster_;
};

TEST_F(QuotaTest, NoEntryIsNoLimit) { EXPECT_TRUE(Fits(8000)); }

TEST_F(QuotaTest, WhatIsHeldCounts) {
  Limit("q", "gpumem", 2000);
  EXPECT_TRUE(Fits(500));
  EXPECT_TRUE(Fits(1000));
  EXPECT_FALSE(Fits(1500));
  EXPECT_EQ(TextOf(cluster_, TestRequest({{.memory_mib = 1500}})), "2/2 ResourceQuotaNotFit");
}

TEST_F(QuotaTest, ZeroBlocks) {
  Limit("q", "gpumem", 0);
  EXPECT_FALSE(Fits(1));
}

TEST_F(QuotaTest, CoresCountLikewise) {
  Limit("q", "gpucores", 60);
  EXPECT_TRUE(Fits(100, 50));
  EXPECT_FALSE(Fits(100, 51));
}

TEST_F(QuotaTest, EveryQuotaMustHold) {
  Limit("a", "gpumem", 5000);
  Limit("b", "gpumem", 2000);
  EXPECT_FALSE(Fits(1500));
  cluster_.RemoveQuota("default", "b");
  EXPECT_TRUE(Fits(1500));
  EXPECT_FALSE(Fits(4500));
  cluster_.RemoveQuota("default", "a");
  EXPECT_TRUE(Fits(4500));
}

TEST_F(QuotaTest, AnUpdateReplacesTheObject) {
  Limit("a", "gpumem", 2000);
  Limit("a", "gpumem", 3000);
  EXPECT_TRUE(Fits(2000));
  EXPECT_FALSE(Fits(2001));
}

TEST_F(QuotaTest, OtherNamespacesAndResourcesDoNotCount) {
  cluster_.PutQuota(
      {.namespace_name = "elsewhere", .name = "q", .limits = {{"limits.nvidia.com/gpumem", 0}}});
  Limit("q", "gpu", 0);  // Kubernetes' own
  EXPECT_TRUE(Fits(8000));
}

TEST_F(QuotaTest, EachDeviceOfAContainerCounts) {
  Limit("q", "gpumem", 3000);
  EXPECT_TRUE(cluster_.Place(TestRequest({{.count = 2, .memory_mib = 1000}}), {}).allocation);
  EXPECT_EQ(TextOf(cluster_, TestRequest({{.count = 2, .memory_mib = 1001}})),
            "1/2 AllocatedCardsInsufficientRequest, 1/2 ResourceQuotaNotFit");
}

// Contract 9: with 1000 of 2000 used, init 800 and 800 with app 500 holds, init 1500 does not.
TEST_F(QuotaTest, APodCountsWithItsWorstMoment) {
  Limit("q", "gpumem", 2000);
  const auto init = [](int32_t memory) {
    return TestAsk{.memory_mib = memory, .kind = ContainerKind::kInit};
  };
  const Request request = TestRequest({init(800), init(800), {.memory_mib = 500}});
  const Decision decision = cluster_.Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_FALSE(cluster_.Place(TestRequest({init(1500), {.memory_mib = 500}}), {}).allocation);
  cluster_.PutPod(TestPod("2", request, *decision.allocation));
  ASSERT_EQ(cluster_.QuotaUses().size(), 1U);
  EXPECT_EQ(cluster_.QuotaUses()[0].memory_mib, 1800);
  EXPECT_EQ(cluster_.QuotaUses()[0].memory_limit_mib, 2000);
}

TEST_F(QuotaTest, WhatThePodHoldsAlreadyDoesNotCount) {
  Limit("q", "gpumem", 2000);
  Request request = TestRequest({{.memory_mib = 2000}});
  EXPECT_FALSE(cluster_.Place(request, {}).allocation);
  request.pod_uid = "1";
  EXPECT_TRUE(cluster_.Place(request, {}).allocation);
}

// A card with less memory makes a percentage smaller: the quota holds on that one only.
TEST_F(QuotaTest, AnotherCardMayKeepTheQuota) {
  Cluster cluster = With(TestNode("node", {{.id = "small", .memory_mib = 1000}, {.id = "large"}}));
  cluster.PutQuota(
      {.namespace_name = "default", .name = "q", .limits = {{"limits.nvidia.com/gpumem", 4500}}});
  const Decision decision = cluster.Place(TestRequest({{.memory_pct = 100}}), {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->slices[0].device, "small");
}

// --- The pod itself, CPU and memory ---

TEST(FitTest, WhatThePodHoldsAlreadyIsFree) {
  Cluster cluster = With(TestNode("node", {{.id = "GPU-a"}}));
  Request request = TestRequest({{.memory_mib = 8000, .cores = 100}});
  const Decision first = cluster.Place(request, {});
  ASSERT_TRUE(first.allocation);
  cluster.PutPod(TestPod(request.pod_uid, request, *first.allocation));
  EXPECT_TRUE(cluster.Place(request, {}).allocation);
  request.pod_uid = "another";
  EXPECT_FALSE(cluster.Place(request, {}).allocation);
}

// Contract 11.2: HAMi compares the vendor's word with the model, and counts what is asked never.
// Before the pod the large card is the fuller one, with it the small one.
TEST(FitTest, WhatIsAskedIsPartOfTheScore) {
  const NodeFacts node =
      TestNode("node", {{.id = "GPU-small"}, {.id = "GPU-large", .memory_mib = 16000}});
  const Cluster cluster = With(node, {TestHolder("a", "node", {"GPU-small"}, 4000, 10),
                                      TestHolder("b", "node", {"GPU-large"}, 9000, 10)});
  Request request = TestRequest({{.memory_mib = 4000}});
  request.policy.device.keys = {DeviceKey::kBinpack};
  EXPECT_EQ(TextOf(cluster, request), "fits on GPU-small");
  request.policy.device.keys = {DeviceKey::kSpread};
  EXPECT_EQ(TextOf(cluster, request), "fits on GPU-large");
}

TEST(FitTest, NativeResourcesAreCheckedWhereAsked) {
  NodeFacts node = TwoCards();
  node.cpu_milli = 4000;
  node.memory_bytes = 1000;
  PodFacts plain;
  plain.uid = "plain";
  plain.node = "node";
  plain.cpu_milli = 3000;
  plain.memory_bytes = 500;
  const Cluster cluster = With(node, {plain});
  Request request = TestRequest({{.memory_mib = 1000}});
  request.cpu_milli = 1001;
  EXPECT_TRUE(cluster.Place(request, {}).allocation);  // kube-scheduler has looked before
  request.check_native = true;
  EXPECT_EQ(TextOf(cluster, request), "Insufficient cpu");
  request.cpu_milli = 1000;
  EXPECT_EQ(TextOf(cluster, request), "fits on GPU-b");
  request.memory_bytes = 501;
  EXPECT_EQ(TextOf(cluster, request), "Insufficient memory");
}

TEST(FitTest, PodsWithoutDevicesGoAnywhere) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("plain", {}));
  Request request = TestRequest({{.count = 0}});
  EXPECT_FALSE(request.WantsDevices());
  const Decision decision = cluster.Place(request, {});
  ASSERT_TRUE(decision.allocation);
  EXPECT_EQ(decision.allocation->node, "plain");
  EXPECT_THAT(decision.allocation->slices, IsEmpty());
}

}  // namespace
}  // namespace hami::placement
