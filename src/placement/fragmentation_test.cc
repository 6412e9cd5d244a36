// SPDX-License-Identifier: Apache-2.0
//
// The measure of fragments, its mix, and the node policy that follows it.

#include "placement/fragmentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using ::testing::DoubleNear;
using ::testing::SizeIs;

DeviceRoom Free(int32_t percent, int32_t cores_percent = -1) {
  const int32_t cores = cores_percent < 0 ? percent : cores_percent;
  return {.vendor = 0,
          .memory_total_mib = 10'000,
          .memory = percent * 100,
          .cores = cores * 100,
          .idle = percent == 100 && cores == 100};
}

PodShape Share(int64_t cpu_milli, int32_t percent, int32_t count = 1) {
  return {
      .cpu_milli = cpu_milli,
      .asks = {{.vendor = 0, .count = count, .memory_mib = percent * 100, .cores_pct = percent}}};
}

// Half of the pods ask for 40 % of a device, a quarter for two whole ones, a quarter for none.
std::vector<TypicalPod> Mix() {
  return TypicalOf({{Share(1000, 40), 50}, {Share(2000, 100, 2), 25}, {{.cpu_milli = 500}, 25}});
}

TEST(FragmentationTest, WhatAPodOfTheMixCannotUseIsLost) {
  // 30 % is too little for anybody; 60 % serves half of the pods.
  NodeRoom room{.cpu_milli = 8000, .devices = {Free(30), Free(60)}};
  EXPECT_THAT(StaticLoss(Mix(), room), DoubleNear(0.5 * 0.3 + 0.5 * 0.9, 1e-9));
  // One idle device does not serve who wants two; two do, and CPU that is missing makes all lost.
  room = {.cpu_milli = 8000, .devices = {Free(100)}};
  EXPECT_THAT(StaticLoss(Mix(), room), DoubleNear(0.5 * 1, 1e-9));
  room = {.cpu_milli = 8000, .devices = {Free(100), Free(100)}};
  EXPECT_THAT(StaticLoss(Mix(), room), DoubleNear(0.25 * 2, 1e-9));
  room.cpu_milli = 1500;
  EXPECT_THAT(StaticLoss(Mix(), room), DoubleNear(0.5 * 2, 1e-9));
  room.cpu_milli = 999;
  EXPECT_THAT(StaticLoss(Mix(), room), DoubleNear(2, 1e-9));
}

TEST(FragmentationTest, TheSmallerOfMemoryAndCoresIsFree) {
  EXPECT_EQ(FreeShare(Free(70, 20)), 2000);
  const NodeRoom room{.cpu_milli = 8000, .devices = {Free(70, 20)}};
  EXPECT_THAT(StaticLoss(Mix(), room), DoubleNear(0.2, 1e-9));
}

TEST(FragmentationTest, FlatAndGeneralMeasureAgree) {
  Fragmentation measure;
  for (int i = 0; i < 400; ++i) {
    measure.Observe(i % 4 < 2    ? Share(1000, 40)
                    : i % 4 == 2 ? Share(2000, 100, 2)
                                 : PodShape{.cpu_milli = 500});
  }
  uint32_t random = 12345;
  const auto next = [&random](uint32_t limit) {
    random = random * 1664525 + 1013904223;
    return static_cast<int32_t>((random >> 8) % limit);
  };
  for (int i = 0; i < 200; ++i) {
    NodeRoom room{.cpu_milli = next(9000), .devices = {}};
    for (int k = next(8); k >= 0; --k) room.devices.push_back(Free(next(11) * 10));
    EXPECT_THAT(measure.StaticLoss(room),
                DoubleNear(StaticLoss(measure.mix().typical(), room), 1e-9));
    // A device of no size and nothing free changes nothing, but is not like the others.
    NodeRoom odd = room;
    odd.devices.push_back({.vendor = 0, .memory_total_mib = 1, .idle = false});
    EXPECT_THAT(measure.Loss(odd), DoubleNear(measure.Loss(room), 1e-9));
  }
}

TEST(FragmentationTest, TheRolloutSeesCpuThatManyPodsNeedTogether) {
  Fragmentation measure;
  for (int i = 0; i < 200; ++i) measure.Observe(Share(12'000, 100));
  // Either pod fits now; four need 48 CPUs.
  const NodeRoom scarce{.cpu_milli = 12'000,
                        .devices = {Free(100), Free(100), Free(100), Free(100)}};
  NodeRoom enough = scarce;
  enough.cpu_milli = 48'000;
  EXPECT_THAT(measure.StaticLoss(scarce), DoubleNear(measure.StaticLoss(enough), 1e-9));
  // Three devices will be idle; a tenth of that counts.
  EXPECT_GT(measure.Loss(scarce), measure.Loss(enough) + 0.25);
}

TEST(FragmentationTest, TheOrderOfDevicesChangesNothing) {
  Fragmentation measure;
  for (int i = 0; i < 100; ++i) measure.Observe(Share(1000 + i % 3 * 500, 20 + i % 5 * 15));
  const NodeRoom room{.cpu_milli = 5000, .devices = {Free(100), Free(35), Free(80)}};
  const NodeRoom turned{.cpu_milli = 5000, .devices = {Free(80), Free(100), Free(35)}};
  EXPECT_DOUBLE_EQ(measure.Loss(room), measure.Loss(turned));
}

// Half a device is taken from four idle ones.
double CostOfBreakingFour(const Fragmentation& of) {
  Fragmentation measure = of;
  const NodeRoom before{.cpu_milli = 8000, .devices = {Free(100), Free(100), Free(100), Free(100)}};
  const NodeRoom after{.cpu_milli = 8000, .devices = {Free(100), Free(100), Free(100), Free(50)}};
  return measure.Loss(after) - measure.Loss(before);
}

TEST(FragmentationTest, WherePodsLeaveRoomForManyCountsMore) {
  Fragmentation measure;
  const auto come = [&measure] {
    for (int i = 0; i < 100; ++i) {
      measure.Observe(i % 10 == 0 ? Share(1000, 100, 4) : Share(1000, 50));
    }
  };
  come();
  EXPECT_FALSE(measure.IsCheap());
  const double if_nobody_leaves = CostOfBreakingFour(measure);
  for (int i = 0; i < 60; ++i) measure.ObserveDeparture();
  come();
  ASSERT_TRUE(measure.IsCheap());
  EXPECT_GT(CostOfBreakingFour(measure), 1.5 * if_nobody_leaves);
}

Request OnePercent(int32_t percent, const std::string& uid) {
  Request request = TestRequest({{.memory_mib = percent * 80, .cores = percent}});
  request.policy.node = NodePolicy::kFragmentation;
  request.pod_uid = uid;
  return request;
}

// 60 % and 40 % come alike often. 40 % goes where 40 % is left, not where 100 % or 60 % is.
TEST(FragmentPolicyTest, FillsTheRoomThatSuitsOthersLeast) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("empty", {{.id = "e"}}));
  cluster.PutNode(TestNode("sixty", {{.id = "s"}}));
  cluster.PutNode(TestNode("forty", {{.id = "f"}}));
  cluster.PutPod(TestHolder("x", "sixty", {"s"}, 40 * 80, 40));
  cluster.PutPod(TestHolder("y", "forty", {"f"}, 60 * 80, 60));
  for (int i = 0; i < 100; ++i) {
    (void)cluster.Place(OnePercent(i % 2 == 0 ? 60 : 40, "seen" + std::to_string(i)), {});
  }
  const Decision forty = cluster.Place(OnePercent(40, "a"), {});
  ASSERT_TRUE(forty.allocation);
  EXPECT_EQ(forty.allocation->node, "forty");
  const Decision sixty = cluster.Place(OnePercent(60, "b"), {});
  ASSERT_TRUE(sixty.allocation);
  EXPECT_EQ(sixty.allocation->node, "sixty");
}

TEST(FragmentPolicyTest, ChoosesTheDeviceOfANodeToo) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("n", {{.id = "idle"}, {.id = "sixty"}, {.id = "forty"}}));
  cluster.PutPod(TestHolder("x", "n", {"sixty"}, 40 * 80, 40));
  cluster.PutPod(TestHolder("y", "n", {"forty"}, 60 * 80, 60));
  for (int i = 0; i < 100; ++i) {
    (void)cluster.Place(OnePercent(i % 2 == 0 ? 60 : 40, "seen" + std::to_string(i)), {});
  }
  EXPECT_EQ(cluster.Place(OnePercent(40, "a"), {}).allocation->slices[0].device, "forty");
  EXPECT_EQ(cluster.Place(OnePercent(60, "b"), {}).allocation->slices[0].device, "sixty");
  // Who asks for devices in an order of his own gets it.
  Request spread = OnePercent(40, "c");
  spread.policy.device = {.keys = {DeviceKey::kSpread}, .by_pod = true};
  EXPECT_EQ(cluster.Place(spread, {}).allocation->slices[0].device, "idle");
}

// Both nodes are idle and alike. Where pods leave, the one that was used first is taken again, so
// that the other stays idle; neither its name nor the order in which nodes were put says which.
TEST(FragmentPolicyTest, WherePodsLeaveTheFirstThatWasUsedIsUsedAgain) {
  for (const std::string first : {"a", "b"}) {
    const std::string second = first == "a" ? "b" : "a";
    Cluster cluster(TestRegistry());
    cluster.PutNode(TestNode("a", {{.id = "da"}}));
    cluster.PutNode(TestNode("b", {{.id = "db"}}));
    cluster.PutPod(TestHolder("x", first, {"d" + first}, 80, 1));
    cluster.PutPod(TestHolder("y", second, {"d" + second}, 80, 1));
    cluster.RemovePod("x");
    cluster.RemovePod("y");
    for (int i = 0; i < 100; ++i) {
      const std::string uid = "seen" + std::to_string(i);
      cluster.PutPod(TestHolder(uid, second, {"d" + second}, 40 * 80, 40));
      cluster.RemovePod(uid);
    }
    const Decision decision = cluster.Place(OnePercent(40, "p"), {});
    ASSERT_TRUE(decision.allocation);
    EXPECT_EQ(decision.allocation->node, first);
  }
}

// What is kept of a node is not used once the node has changed.
TEST(FragmentPolicyTest, NoticesEveryChange) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("n", {{.id = "d"}}));
  ASSERT_TRUE(cluster.Place(OnePercent(60, "a"), {}).allocation);
  cluster.PutPod(TestHolder("x", "n", {"d"}, 50 * 80, 50));
  EXPECT_FALSE(cluster.Place(OnePercent(60, "b"), {}).allocation);
  cluster.RemovePod("x");
  EXPECT_TRUE(cluster.Place(OnePercent(60, "c"), {}).allocation);
  cluster.RemoveNode("n");
  EXPECT_FALSE(cluster.Place(OnePercent(60, "d"), {}).allocation);
}

// kube-scheduler looks at nodes in parallel and names them as it comes. What is judged anew little
// by little, with more nodes than are renewed at once, must not follow that.
TEST(FragmentPolicyTest, TheOrderOfTheNamesChangesNothing) {
  constexpr size_t kNodes = 400;
  Cluster in_order(TestRegistry());
  Cluster shuffled(TestRegistry());
  std::vector<std::string> names;
  for (size_t i = 0; i < kNodes; ++i) {
    names.push_back("n" + std::to_string(i));
    const NodeFacts node = TestNode(names.back(), {{.id = "a" + names.back()}});
    in_order.PutNode(node);
    shuffled.PutNode(node);
    const int32_t held = static_cast<int32_t>(i * 7 % 90);
    const PodFacts holder =
        TestHolder("h" + names.back(), names.back(), {"a" + names.back()}, held * 80, held);
    in_order.PutPod(holder);
    shuffled.PutPod(holder);
  }
  std::vector<std::string_view> views(names.begin(), names.end());
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    // The mix drifts, so that what was judged before is stale.
    const int32_t percent = 10 + (i / 20 * 13 + i % 3 * 25) % 80;
    const std::string uid = "p" + std::to_string(i);
    const Decision one = in_order.Place(OnePercent(percent, uid), {});
    std::ranges::shuffle(views, random);
    const Decision other = shuffled.Place(OnePercent(percent, uid), views);
    ASSERT_EQ(one.allocation.has_value(), other.allocation.has_value()) << i;
    if (!one.allocation) continue;
    ASSERT_EQ(one.allocation->node, other.allocation->node) << i;
    const std::string& node = one.allocation->node;
    const PodFacts pod = TestHolder(uid, node, {"a" + node}, percent * 80, percent);
    in_order.PutPod(pod);
    shuffled.PutPod(pod);
  }
}

}  // namespace
}  // namespace hami::placement
