// SPDX-License-Identifier: Apache-2.0
//
// Arrivals and departures on the real placement code, and what is drawn.

#include "simulate/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "simulate/measure.h"
#include "simulate/read_files.h"

namespace hami::simulate {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const vendor::Registry& Vendors() {
  static const vendor::Registry registry = vendor::Registry::Default();
  return registry;
}

Scenario Of(const std::string& nodes, const std::string& pods) {
  Scenario scenario;
  EXPECT_TRUE(
      AddText(Vendors(), "n.csv", "sn,cpu_milli,memory_mib,gpu,model\n" + nodes, &scenario));
  EXPECT_TRUE(AddText(Vendors(), "p.csv", "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n" + pods,
                      &scenario));
  return scenario;
}

RunOptions Options(placement::NodePolicy policy = placement::NodePolicy::kFragmentation) {
  RunOptions options;
  options.policy.node = policy;
  options.policy.device.keys = {placement::DeviceKey::kBinpack};
  return options;
}

std::vector<Arrival> Listed(size_t count) {
  std::vector<Arrival> arrivals;
  for (uint32_t i = 0; i < count; ++i) arrivals.push_back({.pod = i, .arrives_s = 1.0 * i});
  return arrivals;
}

TEST(EngineTest, PlacesUntilThereIsNoRoomAndSaysWhatTheNearestLacks) {
  const Scenario scenario =
      Of("n,8000,1000,1,A\n", "a,1000,1,1,600\nb,1000,1,1,600\nc,1000,1,1,400\n");
  const Outcome outcome = simulate::Run(Vendors(), scenario, Listed(3), Options());
  ASSERT_THAT(outcome.pods, SizeIs(3));
  EXPECT_EQ(outcome.pods[0].node, "n");
  ASSERT_THAT(outcome.pods[0].slices, SizeIs(1));
  EXPECT_EQ(outcome.pods[0].slices[0].memory_mib, 6000);
  EXPECT_EQ(outcome.pods[1].fate, Fate::kWaiting);
  EXPECT_THAT(outcome.pods[1].reason, HasSubstr("0/1 nodes fit: 1 CardInsufficientMemory"));
  EXPECT_THAT(outcome.pods[1].nearest, HasSubstr("4000 MiB free of 6000 asked"));
  EXPECT_EQ(outcome.pods[2].fate, Fate::kPlaced);
  EXPECT_EQ(outcome.placed, 2U);
  EXPECT_THAT(outcome.end.allocated, DoubleNear(1, 1e-9));
  EXPECT_THAT(outcome.end.asked, DoubleNear(1.6, 1e-9));
  EXPECT_EQ(outcome.latency.decisions, 2U);
  EXPECT_EQ(outcome.refusals.decisions, 1U);
  EXPECT_THAT(outcome.overcommitted, IsEmpty());
}

TEST(EngineTest, QuotasAreLimitsToo) {
  Scenario scenario = Of("n,8000,1000,2,A\n", "a,1000,1,1,600\nb,1000,1,1,400\nc,1000,1,1,100\n");
  scenario.quotas.push_back({.namespace_name = "trace", .name = "q"});
  scenario.quotas[0].limits["limits.nvidia.com/gpumem"] = 7000;
  const Outcome outcome = simulate::Run(Vendors(), scenario, Listed(3), Options());
  EXPECT_EQ(outcome.pods[0].fate, Fate::kPlaced);
  EXPECT_EQ(outcome.pods[1].fate, Fate::kWaiting);
  EXPECT_THAT(outcome.pods[1].reason, HasSubstr("ResourceQuotaNotFit"));
  EXPECT_EQ(outcome.pods[2].fate, Fate::kPlaced);
}

TEST(EngineTest, CpuAndMemoryOfNodesAreLimitsToo) {
  const Scenario scenario =
      Of("n,2000,100,2,A\n", "a,1500,10,1,500\nb,1000,10,1,500\nc,100,95,0,0\n");
  const Outcome outcome = simulate::Run(Vendors(), scenario, Listed(3), Options());
  EXPECT_EQ(outcome.pods[0].fate, Fate::kPlaced);
  EXPECT_EQ(outcome.pods[1].fate, Fate::kWaiting);
  EXPECT_EQ(outcome.pods[2].fate, Fate::kWaiting);
  EXPECT_EQ(outcome.cpu_used_milli, 1500);
}

TEST(EngineTest, WhoLeavesMakesRoomForWhoWaits) {
  const Scenario scenario = Of("n,8000,1000,1,A\n", "a,1000,1,1,1000\nb,1000,1,1,1000\n");
  const std::vector<Arrival> arrivals = {{.pod = 0, .arrives_s = 0, .leaves_s = 10},
                                         {.pod = 1, .arrives_s = 4, .leaves_s = 9}};
  RunOptions options = Options();
  EXPECT_EQ(simulate::Run(Vendors(), scenario, arrivals, options).waiting, 1U);
  options.retry = true;
  const Outcome outcome = simulate::Run(Vendors(), scenario, arrivals, options);
  EXPECT_EQ(outcome.placed, 2U);
  EXPECT_THAT(outcome.pods[1].waited_s, DoubleNear(6, 1e-9));
  EXPECT_THAT(outcome.lost_devices_share, DoubleNear(0.5, 1e-9));
}

TEST(EngineTest, PodsThatRunAlreadyHoldTheirDevices) {
  Scenario scenario = Of("n,8000,1000,1,A\n", "a,1000,1,1,600\n");
  placement::PodFacts held{.uid = "u", .namespace_name = "x", .name = "old", .node = "n"};
  held.kinds = {domain::ContainerKind::kApp};
  held.slices = {
      {.container = 0, .vendor = "NVIDIA", .device = "n-gpu-0", .memory_mib = 5000, .cores = 50}};
  scenario.running.push_back(held);
  const Outcome outcome = simulate::Run(Vendors(), scenario, Listed(1), Options());
  EXPECT_EQ(outcome.waiting, 1U);
  EXPECT_THAT(outcome.end.allocated, DoubleNear(0.5, 1e-9));
}

TEST(EngineTest, WhatCannotBeReadIsRefusedWithItsReason) {
  Scenario scenario = Of("n,8000,1000,1,A\n", "a,1000,1,1,600\n");
  scenario.pods[0].pod.containers[0].limits["nvidia.com/gpu"] = "many";
  const Outcome outcome = simulate::Run(Vendors(), scenario, Listed(1), Options());
  EXPECT_EQ(outcome.refused, 1U);
  EXPECT_THAT(outcome.pods[0].reason, HasSubstr("nvidia.com/gpu"));
}

// The policy must not know names: renamed and put in another order, the same pods fill the same
// cluster as well. Only nodes that are alike in all that is measured may change places.
class NamesTest : public ::testing::Test {
 protected:
  static constexpr size_t kPods = 60;

  NamesTest() {
    for (size_t i = 0; i < kPods; ++i) {
      const char* const shapes[] = {"3000,10,1,810", "11000,10,1,1000", "8000,10,1,470",
                                    "4000,10,1,320", "12000,10,0,0"};
      pods_ += "p" + std::to_string(i) + "," + shapes[i * 7 % 5] + "\n";
    }
  }

  // Every time with other names, in another order.
  Outcome Play(const std::vector<Arrival>& arrivals) {
    const std::vector<std::string> kinds = {"32000,1000,4,A", "64000,1000,2,B", "8000,1000,1,C",
                                            "32000,1000,4,A", "16000,1000,2,B", "96000,1000,8,A"};
    const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f"};
    std::string nodes;
    for (const size_t kind : order_) nodes += names[(kind + round_) % 6] + "," + kinds[kind] + "\n";
    ++round_;
    std::ranges::next_permutation(order_);
    std::ranges::rotate(order_, order_.begin() + 1);
    return simulate::Run(Vendors(), Of(nodes, pods_), arrivals, Options());
  }

  void ExpectTheSame(const std::vector<Arrival>& arrivals) {
    const Outcome first = Play(arrivals);
    for (int i = 0; i < 5; ++i) {
      const Outcome outcome = Play(arrivals);
      ASSERT_EQ(outcome.points.size(), first.points.size());
      for (size_t k = 0; k < outcome.points.size(); ++k) {
        EXPECT_THAT(outcome.points[k].allocated, DoubleNear(first.points[k].allocated, 1e-9)) << k;
        EXPECT_THAT(outcome.points[k].fragments, DoubleNear(first.points[k].fragments, 1e-9)) << k;
      }
      for (size_t k = 0; k < arrivals.size(); ++k) {
        EXPECT_EQ(outcome.pods[k].fate, first.pods[k].fate) << k;
      }
    }
  }

 private:
  std::string pods_;
  std::vector<size_t> order_ = {0, 1, 2, 3, 4, 5};
  size_t round_ = 0;
};

TEST_F(NamesTest, NamesOfNodesChangeNothing) { ExpectTheSame(Listed(kPods)); }

TEST_F(NamesTest, NamesOfNodesChangeNothingWherePodsLeave) {
  Random random(3);
  std::vector<Arrival> arrivals;
  for (size_t i = 0; i < 600; ++i) {
    const auto now = static_cast<double>(i);
    arrivals.push_back({.pod = static_cast<uint32_t>(random.Below(kPods)),
                        .arrives_s = now,
                        .leaves_s = now + 80 * random.Unit()});
  }
  ExpectTheSame(arrivals);
}

TEST(DrawTest, ASeedIsAlwaysTheSame) {
  Random one(42);
  Random same(42);
  Random other(43);
  const std::vector<uint32_t> order = Shuffled(100, &one);
  EXPECT_EQ(order, Shuffled(100, &same));
  EXPECT_NE(order, Shuffled(100, &other));
  std::vector<uint32_t> sorted = order;
  std::ranges::sort(sorted);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[i], i);
}

TEST(DrawTest, InflatesToWhatWasAskedFor) {
  Random random(1);
  const std::vector<uint32_t> order = {1, 0, 2};
  const std::vector<double> asked = {0.5, 0, 2};
  const std::vector<Arrival> arrivals = Inflate(order, asked, 20, &random);
  double sum = 0;
  for (const Arrival& arrival : arrivals) sum += asked[arrival.pod];
  EXPECT_GE(sum, 20);
  EXPECT_LT(sum, 22);
  EXPECT_EQ(arrivals[0].pod, 1U);
  EXPECT_EQ(Inflate(order, std::vector<double>(3), 20, &random).size(), 3U);
}

TEST(DrawTest, TurnoverAsksForAsMuchAtAnyTime) {
  Random random(7);
  const std::vector<double> asked = {0.5, 1, 1.5};
  const std::vector<Arrival> arrivals = Turnover(asked, 300, 6, &random);
  double held = 0;  // at time 4
  for (const Arrival& arrival : arrivals) {
    if (arrival.arrives_s <= 4 && arrival.leaves_s > 4) held += asked[arrival.pod];
  }
  EXPECT_THAT(held, DoubleNear(300, 60));
  EXPECT_TRUE(std::ranges::is_sorted(arrivals, {}, &Arrival::arrives_s));
}

}  // namespace
}  // namespace hami::simulate
