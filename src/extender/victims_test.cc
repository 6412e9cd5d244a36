// SPDX-License-Identifier: Apache-2.0

#include "extender/victims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class VictimsTest : public ::testing::Test {
 protected:
  placement::NodeFacts Node(int cards, int memory_mib) const {
    placement::NodeFacts node;
    node.name = "n1";
    for (int i = 0; i < cards; ++i) {
      vendor::Device device;
      device.vendor = nvidia_;
      device.id = "GPU-" + std::to_string(i);
      device.index = i;
      device.slots = 10;
      device.memory_mib = memory_mib;
      device.cores = 100;
      device.type = "NVIDIA A100";
      device.mode = "hami-core";
      node.devices.push_back(device);
    }
    return node;
  }
  static Candidate Pod(const std::string& uid, int32_t priority, int card, int memory_mib) {
    Candidate pod;
    pod.facts.uid = uid;
    pod.facts.name = uid;
    pod.facts.namespace_name = "default";
    pod.facts.node = "n1";
    pod.facts.kinds = {domain::ContainerKind::kApp};
    pod.facts.priority = priority;
    domain::Slice slice;
    slice.vendor = "NVIDIA";
    slice.device = "GPU-" + std::to_string(card);
    slice.memory_mib = memory_mib;
    slice.cores = 5;
    pod.facts.slices = {slice};
    return pod;
  }
  placement::Request Ask(int cards, int memory_mib) const {
    placement::Request request;
    request.pod_uid = "asker";
    request.namespace_name = "default";
    request.selectors.resize(registry_.size());
    placement::ContainerAsk ask;
    vendor::Request one;
    one.vendor = nvidia_;
    one.count = cards;
    one.memory_mib = memory_mib;
    one.cores = 5;
    ask.requests.push_back(one);
    request.containers.push_back(ask);
    return request;
  }
  static std::vector<std::string> Names(const VictimChoice& choice) {
    std::vector<std::string> names;
    for (const Candidate& victim : choice.victims) names.push_back(victim.facts.uid);
    return names;
  }
  vendor::VendorId FindNvidia() const {
    for (vendor::VendorId id = 0; id < registry_.size(); ++id) {
      if (registry_.at(id).common_word == "NVIDIA") return id;
    }
    return 0;
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
  const vendor::VendorId nvidia_ = FindNvidia();
};

TEST_F(VictimsTest, TheLowestOfThoseThatDoGoes) {
  const auto choice = ChooseVictims(registry_, Ask(1, 6'000), 100, Node(2, 10'000),
                                    {Pod("a", 50, 0, 8'000), Pod("b", 10, 1, 8'000)}, {});
  ASSERT_TRUE(choice);
  EXPECT_THAT(Names(*choice), ElementsAre("b"));
  EXPECT_EQ(choice->allocation.slices[0].device, "GPU-1");
}

TEST_F(VictimsTest, OneOfHigherPriorityRatherThanTwo) {
  const auto choice =
      ChooseVictims(registry_, Ask(1, 9'000), 100, Node(2, 10'000),
                    {Pod("a", 90, 0, 8'000), Pod("b", 1, 1, 4'000), Pod("c", 1, 1, 4'000)}, {});
  ASSERT_TRUE(choice);
  EXPECT_THAT(Names(*choice), ElementsAre("a"));
}

TEST_F(VictimsTest, NobodyOfTheSameOrAHigherPriorityGoes) {
  EXPECT_FALSE(
      ChooseVictims(registry_, Ask(1, 6'000), 50, Node(1, 10'000), {Pod("a", 50, 0, 8'000)}, {}));
  EXPECT_FALSE(
      ChooseVictims(registry_, Ask(1, 6'000), 50, Node(1, 10'000), {Pod("a", 51, 0, 8'000)}, {}));
}

TEST_F(VictimsTest, WhatNoNodeHasMakesNobodyGo) {
  EXPECT_FALSE(
      ChooseVictims(registry_, Ask(1, 16'000), 100, Node(1, 10'000), {Pod("a", 1, 0, 8'000)}, {}));
}

TEST_F(VictimsTest, WhoLeavesAnywayCostsNothing) {
  std::vector<Candidate> pods = {Pod("a", 200, 0, 8'000), Pod("b", 1, 0, 1'000)};
  pods[0].terminating = true;
  const auto choice = ChooseVictims(registry_, Ask(1, 9'000), 100, Node(1, 10'000), pods, {});
  ASSERT_TRUE(choice);
  EXPECT_THAT(Names(*choice), IsEmpty());
}

TEST_F(VictimsTest, PodsWithoutDevicesStay) {
  std::vector<Candidate> pods = {Pod("a", 50, 0, 8'000), Pod("b", 1, 0, 0)};
  pods[1].facts.slices.clear();
  const auto choice = ChooseVictims(registry_, Ask(1, 6'000), 100, Node(1, 10'000), pods, {});
  ASSERT_TRUE(choice);
  EXPECT_THAT(Names(*choice), ElementsAre("a"));
}

TEST_F(VictimsTest, ABudgetKeepsItsPods) {
  std::vector<Candidate> pods = {Pod("a", 50, 0, 8'000), Pod("b", 10, 1, 8'000)};
  pods[1].budgets = {"default/keep"};
  const auto request = Ask(1, 6'000);
  const auto kept =
      ChooseVictims(registry_, request, 100, Node(2, 10'000), pods, {{"default/keep", 0}});
  ASSERT_TRUE(kept);
  EXPECT_THAT(Names(*kept), ElementsAre("a"));
  const auto allowed =
      ChooseVictims(registry_, request, 100, Node(2, 10'000), pods, {{"default/keep", 1}});
  EXPECT_THAT(Names(*allowed), ElementsAre("b"));
}

TEST_F(VictimsTest, ABudgetCountsAllItsVictimsTogether) {
  std::vector<Candidate> pods = {Pod("a", 1, 0, 8'000), Pod("b", 1, 1, 8'000)};
  for (Candidate& pod : pods) pod.budgets = {"default/keep"};
  const auto request = Ask(2, 6'000);
  EXPECT_FALSE(
      ChooseVictims(registry_, request, 100, Node(2, 10'000), pods, {{"default/keep", 1}}));
  const auto both =
      ChooseVictims(registry_, request, 100, Node(2, 10'000), pods, {{"default/keep", 2}});
  ASSERT_TRUE(both);
  EXPECT_THAT(Names(*both), SizeIs(2));
}

TEST_F(VictimsTest, ABudgetIsKeptForThoseWhoseLeavingHelps) {
  // All three of the second card have to go; the lowest of all, on the first, would use up the
  // leave that one of them needs.
  std::vector<Candidate> pods = {Pod("a", 1, 0, 1'000), Pod("b", 2, 1, 3'000),
                                 Pod("c", 3, 1, 3'000), Pod("d", 4, 1, 3'000),
                                 Pod("keep", 900, 0, 9'000)};
  pods[0].budgets = {"default/one"};
  pods[2].budgets = {"default/one"};
  const auto choice =
      ChooseVictims(registry_, Ask(1, 9'000), 100, Node(2, 10'000), pods, {{"default/one", 1}});
  ASSERT_TRUE(choice);
  EXPECT_THAT(Names(*choice), ElementsAre("b", "c", "d"));
}

TEST_F(VictimsTest, SomebodyStaysAwayForOneWhoHasNoLeave) {
  // Room on both cards is wanted, and of "one" a single pod may go: on the second card that is "f",
  // so on the first the pods without a budget go, though they are of higher priority.
  std::vector<Candidate> pods = {Pod("a", 1, 0, 4'000), Pod("b", 9, 0, 4'000),
                                 Pod("e", 2, 1, 4'000), Pod("f", 3, 1, 5'000),
                                 Pod("c", 8, 0, 1'000)};
  pods[0].budgets = {"default/one"};
  pods[3].budgets = {"default/one"};
  const auto choice =
      ChooseVictims(registry_, Ask(2, 6'000), 100, Node(2, 10'000), pods, {{"default/one", 1}});
  ASSERT_TRUE(choice);
  for (const Candidate& victim : choice->victims) EXPECT_NE(victim.facts.uid, "a");
}

TEST_F(VictimsTest, FewLargePodsRatherThanManySmallOnes) {
  std::vector<Candidate> pods = {Pod("x", 4, 0, 3'000), Pod("y", 4, 0, 3'000),
                                 Pod("z", 4, 0, 3'000)};
  for (int i = 0; i < 9; ++i) pods.push_back(Pod("s" + std::to_string(i), 1, 1, 1'000));
  const auto choice = ChooseVictims(registry_, Ask(1, 9'000), 100, Node(2, 10'000), pods, {});
  ASSERT_TRUE(choice);
  EXPECT_THAT(Names(*choice), ElementsAre("x", "y", "z"));
  // What one way of choosing would spend of a budget is there for the next.
  for (Candidate& pod : pods) pod.budgets = {"default/nine"};
  const auto within =
      ChooseVictims(registry_, Ask(1, 9'000), 100, Node(2, 10'000), pods, {{"default/nine", 9}});
  ASSERT_TRUE(within);
  EXPECT_THAT(Names(*within), ElementsAre("x", "y", "z"));
}

// --- Against all sets ---

struct Cost {
  size_t count = 0;
  int32_t highest = INT32_MIN;
  int64_t sum = 0;
  auto operator<=>(const Cost&) const = default;
};

class VictimsOfAllTest : public VictimsTest {
 protected:
  // The lowest cost of all sets that may go and make room.
  std::optional<Cost> BestOfAll(const placement::Request& request, int32_t priority,
                                const placement::NodeFacts& node,
                                const std::vector<Candidate>& pods, int64_t allowance) const {
    std::optional<Cost> best;
    for (uint32_t set = 0; set < (1U << pods.size()); ++set) {
      Cost cost;
      int64_t budget = allowance;
      placement::Cluster cluster(registry_);
      cluster.PutNode(node);
      bool allowed = true;
      for (size_t i = 0; i < pods.size(); ++i) {
        if ((set >> i & 1U) == 0) {
          cluster.PutPod(pods[i].facts);
          continue;
        }
        allowed = allowed && pods[i].facts.priority < priority;
        if (!pods[i].budgets.empty()) --budget;
        ++cost.count;
        cost.highest = std::max(cost.highest, pods[i].facts.priority);
        cost.sum += pods[i].facts.priority;
      }
      if (!allowed || budget < 0 || (best && *best <= cost)) continue;
      if (cluster.PlaceOn(request, "n1").allocation) best = cost;
    }
    return best;
  }
  // Those who stay go into the cluster; the cost of the others.
  static Cost PutOthers(const VictimChoice& choice, int32_t priority,
                        const std::vector<Candidate>& pods, placement::Cluster* cluster) {
    Cost cost = {.count = choice.victims.size()};
    for (const Candidate& pod : pods) {
      bool is_victim = false;
      for (const Candidate& victim : choice.victims) {
        is_victim = is_victim || victim.facts.uid == pod.facts.uid;
      }
      if (!is_victim) {
        cluster->PutPod(pod.facts);
        continue;
      }
      EXPECT_LT(pod.facts.priority, priority);
      cost.highest = std::max(cost.highest, pod.facts.priority);
      cost.sum += pod.facts.priority;
    }
    return cost;
  }
};

TEST_F(VictimsOfAllTest, NoSetOfPodsIsBetter) {
  std::mt19937 random(7);
  const auto pick = [&random](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  int with_victims = 0;
  int with_many = 0;
  for (int round = 0; round < 300; ++round) {
    const int cards = pick(1, 3);
    const placement::NodeFacts node = Node(cards, 10'000);
    std::vector<Candidate> pods;
    std::vector<int> used(static_cast<size_t>(cards), 0);
    for (int i = 0; i < pick(0, 9); ++i) {
      const int card = pick(0, cards - 1);
      const int memory_mib = pick(1, 5) * 1'000;
      if (used[static_cast<size_t>(card)] + memory_mib > 10'000) continue;
      used[static_cast<size_t>(card)] += memory_mib;
      pods.push_back(Pod("p" + std::to_string(i), pick(0, 6), card, memory_mib));
      if (pick(0, 3) == 0) pods.back().budgets = {"b"};
    }
    const Budgets budgets = {{"b", pick(0, 2)}};
    const int32_t priority = 5;
    const placement::Request request = Ask(pick(1, cards), pick(3, 10) * 1'000);

    const std::optional<Cost> best = BestOfAll(request, priority, node, pods, budgets.at("b"));
    const auto choice = ChooseVictims(registry_, request, priority, node, pods, budgets);
    if (!best) {
      EXPECT_FALSE(choice) << "round " << round;
      continue;
    }
    ASSERT_TRUE(choice) << "round " << round;
    placement::Cluster cluster(registry_);
    cluster.PutNode(node);
    const Cost cost = PutOthers(*choice, priority, pods, &cluster);
    EXPECT_TRUE(cluster.PlaceOn(request, "n1").allocation) << "round " << round;
    if (best->count <= 2) {
      EXPECT_TRUE(cost == *best) << "round " << round << ": " << cost.count << "/" << cost.highest
                                 << "/" << cost.sum << " for " << best->count << "/"
                                 << best->highest << "/" << best->sum;
    } else {
      ++with_many;
      // None of them could be spared.
      for (const Candidate& victim : choice->victims) {
        cluster.PutPod(victim.facts);
        EXPECT_FALSE(cluster.PlaceOn(request, "n1").allocation) << "round " << round;
        cluster.RemovePod(victim.facts.uid);
      }
    }
    if (best->count > 0) ++with_victims;
  }
  EXPECT_GT(with_victims, 50);
  EXPECT_GT(with_many, 5);
}

TEST(IsBetterTest, FewerThenLowerThenByName) {
  const auto choice = [](const char* node, std::vector<int32_t> priorities) {
    VictimChoice made = {.node = node, .victims = {}, .allocation = {}};
    for (const int32_t priority : priorities) {
      Candidate victim;
      victim.facts.priority = priority;
      made.victims.push_back(victim);
    }
    return made;
  };
  EXPECT_TRUE(IsBetter(choice("b", {9}), choice("a", {1, 1})));
  EXPECT_TRUE(IsBetter(choice("b", {1, 5}), choice("a", {0, 6})));
  EXPECT_TRUE(IsBetter(choice("b", {1, 5}), choice("a", {2, 5})));
  EXPECT_TRUE(IsBetter(choice("a", {1}), choice("b", {1})));
  EXPECT_FALSE(IsBetter(choice("a", {1}), choice("a", {1})));
}

}  // namespace
}  // namespace hami::extender
