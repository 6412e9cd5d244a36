// SPDX-License-Identifier: Apache-2.0

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using ::testing::HasSubstr;

NearestMiss NearestOf(const Cluster& cluster, const Request& request) {
  const Decision decision = cluster.Place(request, {});
  EXPECT_FALSE(decision.allocation);
  return decision.nearest.value_or(NearestMiss{});
}

TEST(NearestTest, TellsWhatEachCardLacks) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node-3", {{.id = "GPU-a"}, {.id = "GPU-b"}, {.id = "GPU-c"}}));
  cluster.PutPod(TestHolder("1", "node-3", {"GPU-a"}, 3904, 0));
  cluster.PutPod(TestHolder("2", "node-3", {"GPU-b"}, 7000, 0));
  const NearestMiss nearest = NearestOf(cluster, TestRequest({{.count = 2, .memory_mib = 8000}}));
  EXPECT_EQ(nearest.node, "node-3");
  EXPECT_EQ(nearest.text,
            "node-3: 1 of 2 NVIDIA cards fits; GPU-a has 4096 MiB free of 8000 asked; GPU-b has "
            "1000 MiB free of 8000 asked");
}

TEST(NearestTest, FewerMissingCardsAreNearer) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("one", {{.id = "a"}, {.id = "b", .memory_mib = 100}}));
  cluster.PutNode(
      TestNode("none", {{.id = "c", .memory_mib = 7999}, {.id = "d", .memory_mib = 7999}}));
  EXPECT_EQ(NearestOf(cluster, TestRequest({{.count = 2, .memory_mib = 8000}})).node, "one");
}

TEST(NearestTest, OfEqualMissesTheSmallerLackIsNearer) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("far", {{.id = "a", .memory_mib = 3000}}));
  cluster.PutNode(TestNode("near", {{.id = "b", .memory_mib = 6000}}));
  cluster.PutNode(TestNode("also", {{.id = "c", .memory_mib = 6000}}));
  EXPECT_EQ(NearestOf(cluster, TestRequest({{.memory_mib = 8000}})).node, "near");
}

TEST(NearestTest, ACardOfAnotherTypeIsFarthest) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("typed", {{.id = "a", .type = "NVIDIA T4"}}));
  cluster.PutNode(TestNode("small", {{.id = "b", .memory_mib = 10}}));
  Request request = TestRequest({{.memory_mib = 8000}});
  request.selectors[0].use_types = {"A10"};
  EXPECT_EQ(NearestOf(cluster, request).node, "small");
}

TEST(NearestTest, SaysTheReasonInWords) {
  Cluster cluster(TestRegistry());
  NodeFacts node = TestNode(
      "node", {{.id = "ill"}, {.id = "cordoned"}, {.id = "full", .slots = 1}, {.id = "shared"}});
  node.devices[0].healthy = false;
  node.devices[1].cordoned = true;
  cluster.PutNode(node);
  cluster.PutPod(TestHolder("1", "node", {"full", "shared"}, 10, 0));
  const NearestMiss nearest = NearestOf(cluster, TestRequest({{.memory_mib = 10, .cores = 100}}));
  EXPECT_THAT(nearest.text, HasSubstr("0 of 1 NVIDIA cards fit;"));
  EXPECT_THAT(nearest.text, HasSubstr("full has all of its 1 slots taken"));
  EXPECT_THAT(nearest.text, HasSubstr("shared is asked alone and 1 container is on it"));
  EXPECT_THAT(nearest.text, HasSubstr("ill is not healthy"));
  EXPECT_THAT(nearest.text, HasSubstr("cordoned is cordoned"));
}

TEST(NearestTest, SaysWhichContainer) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node", {{.id = "GPU-a"}}));
  EXPECT_THAT(NearestOf(cluster, TestRequest({{.memory_mib = 10}, {.memory_mib = 9000}})).text,
              HasSubstr("node: container 2: 0 of 1 NVIDIA cards fit; GPU-a has 8000 MiB free"));
  EXPECT_THAT(NearestOf(cluster, TestRequest({{.memory_mib = 5000}, {.memory_mib = 5000}})).text,
              HasSubstr("each container fits alone, but not all together"));
}

TEST(NearestTest, ManyCardsAreCounted) {
  Cluster cluster(TestRegistry());
  std::vector<TestDevice> devices;
  for (int i = 0; i < 16; ++i) devices.push_back({.id = "GPU-" + std::to_string(i)});
  cluster.PutNode(TestNode("node", devices));
  EXPECT_THAT(NearestOf(cluster, TestRequest({{.memory_mib = 9000}})).text,
              HasSubstr("; and 8 more"));
}

TEST(NearestTest, MoreCardsThanAnybodyHas) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node", {{.id = "GPU-a"}}));
  const NearestMiss nearest = NearestOf(cluster, TestRequest({{.count = 2'000'000'000}}));
  EXPECT_EQ(nearest.text, "node: 1 of 2000000000 NVIDIA cards fits");
}

}  // namespace
}  // namespace hami::placement
