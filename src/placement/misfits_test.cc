// SPDX-License-Identifier: Apache-2.0
//
// Requests that fit nowhere: what is kept between retries, and a search that ends early.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kNodes = 6;

// The same facts put into a cluster that remembers and, whenever asked, into one that cannot.
class World {
 public:
  World() : cluster_(TestRegistry()) {
    for (int i = 0; i < kNodes; ++i) {
      const std::string name = "node-" + std::to_string(i);
      nodes_.push_back(
          TestNode(name, {{.id = name + "a"}, {.id = name + "b"}, {.id = name + "c"}}));
      cluster_.PutNode(nodes_.back());
    }
    for (const NodeFacts& node : nodes_) names_.push_back(node.name);
    names_.emplace_back("a-stranger");
  }

  void Change(std::minstd_rand* random, int step) {
    const auto roll = [random](int limit) { return static_cast<int>((*random)() % limit); };
    NodeFacts& node = nodes_[static_cast<size_t>(roll(kNodes))];
    vendor::Device& device = node.devices[static_cast<size_t>(roll(3))];
    switch (roll(8)) {
      case 0:
        device.healthy = !device.healthy;
        cluster_.PutNode(node);
        break;
      case 1:
        quota_ = {.namespace_name = "default", .name = "quota"};
        quota_.limits["limits.nvidia.com/gpumem"] = 1000 * roll(12);
        cluster_.PutQuota(quota_);
        break;
      case 2:
        quota_.limits.clear();
        cluster_.PutQuota(quota_);
        break;
      case 3:
      case 4:
        if (pods_.empty()) break;
        cluster_.RemovePod(pods_.begin()->first);
        pods_.erase(pods_.begin());
        break;
      default: {
        const std::string uid = "pod-" + std::to_string(step);
        pods_[uid] = TestHolder(uid, node.name, {device.id}, 1000 * roll(7), 10 * roll(5));
        cluster_.PutPod(pods_[uid]);
      }
    }
  }

  Decision Kept(const Request& request) const { return cluster_.Place(request, names_); }

  Decision Plain(const Request& request) const {
    Cluster fresh(TestRegistry());
    for (const NodeFacts& node : nodes_) fresh.PutNode(node);
    for (const auto& [uid, pod] : pods_) fresh.PutPod(pod);
    if (!quota_.name.empty()) fresh.PutQuota(quota_);
    return fresh.Place(request, names_);
  }

 private:
  Cluster cluster_;
  std::vector<NodeFacts> nodes_;
  std::vector<std::string_view> names_;
  std::map<std::string, PodFacts> pods_;
  QuotaFacts quota_;
};

TEST(MisfitsTest, WhatIsKeptIsWhatWouldBeFoundOutAgain) {
  std::minstd_rand random(7);
  World world;
  std::vector<Request> requests = {
      TestRequest({{.memory_mib = 9000}}), TestRequest({{.count = 3, .memory_mib = 6000}}),
      TestRequest({{.count = 3, .memory_mib = 6000, .cores = 100}}),
      TestRequest({{.memory_mib = 8000, .cores = 70}, {.count = 3, .memory_mib = 5000}}),
      TestRequest({{.count = 4, .memory_mib = 100}})};
  requests[0].check_native = true;
  requests[2].selectors[0].use_types = {"A10"};
  int refused = 0;
  for (int step = 0; step < 1000; ++step) {
    world.Change(&random, step);
    Request request = requests[random() % requests.size()];
    request.pod_uid = "waits-" + std::to_string(step);
    const Decision kept = world.Kept(request);
    const Decision plain = world.Plain(request);
    ASSERT_EQ(kept.allocation.has_value(), plain.allocation.has_value());
    if (kept.allocation) continue;
    ++refused;
    ASSERT_EQ(kept.misfits.size(), plain.misfits.size());
    for (size_t i = 0; i < kept.misfits.size(); ++i) {
      ASSERT_EQ(kept.misfits[i].node, plain.misfits[i].node);
      ASSERT_EQ(kept.misfits[i].text, plain.misfits[i].text) << "step " << step;
    }
    ASSERT_EQ(kept.nearest.has_value(), plain.nearest.has_value());
    if (!kept.nearest) continue;
    ASSERT_EQ(kept.nearest->node, plain.nearest->node) << "step " << step;
    ASSERT_EQ(kept.nearest->text, plain.nearest->text) << "step " << step;
  }
  EXPECT_GT(refused, 300);
}

// One container fits on each GPU, whichever; one container is left over whatever is tried.
Request OneTooMany(size_t devices) {
  return TestRequest(std::vector<TestAsk>(devices + 1, {.memory_mib = 900}));
}

NodeFacts UnequalDevices(size_t count) {
  std::vector<TestDevice> devices;
  for (size_t i = 0; i < count; ++i) {
    devices.push_back(
        {.id = "GPU-" + std::to_string(i), .memory_mib = 1000 + static_cast<int32_t>(i)});
  }
  return TestNode("node", devices);
}

TEST(MisfitsTest, ASearchThatEndsEarlySaysSo) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(UnequalDevices(10));
  for (int i = 0; i < 2; ++i) {  // the second time it is searched again: this was no answer
    const Decision decision = cluster.Place(OneTooMany(10), {});
    EXPECT_FALSE(decision.allocation);
    EXPECT_TRUE(decision.gave_up);
    ASSERT_THAT(decision.misfits, SizeIs(1));
    EXPECT_THAT(decision.misfits[0].text, HasSubstr("gave up after 40000 steps"));
  }
}

TEST(MisfitsTest, ASearchToTheEndSaysNothing) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(UnequalDevices(3));
  const Decision decision = cluster.Place(OneTooMany(3), {});
  EXPECT_FALSE(decision.allocation);
  EXPECT_FALSE(decision.gave_up);
  ASSERT_THAT(decision.misfits, SizeIs(1));
  EXPECT_THAT(decision.misfits[0].text, Not(HasSubstr("gave up")));
}

}  // namespace
}  // namespace hami::placement
