// SPDX-License-Identifier: Apache-2.0
//
// What a pod's containers hold of a device together: the rows of contract
// hami-control-plane.md 9.3.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using domain::ContainerKind;
using ::testing::ElementsAre;

struct Held {
  ContainerKind kind;
  int32_t memory_mib;
  int32_t cores;
  std::string device = "g0";
};

// By container what it holds.
PodFacts HolderOf(const std::vector<std::vector<Held>>& containers) {
  PodFacts pod = TestHolder("pod", "node", {}, 0, 0);
  pod.namespace_name = "default";
  pod.kinds.clear();
  for (const std::vector<Held>& container : containers) {
    for (const Held& held : container) {
      domain::Slice slice;
      slice.container = static_cast<uint16_t>(pod.kinds.size());
      slice.vendor = "NVIDIA";
      slice.device = held.device;
      slice.memory_mib = held.memory_mib;
      slice.cores = held.cores;
      pod.slices.push_back(slice);
    }
    pod.kinds.push_back(container.front().kind);
  }
  return pod;
}

struct Row {
  const char* name;
  std::vector<std::vector<Held>> containers;
  std::vector<DeviceUse> expected;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr ContainerKind kInit = ContainerKind::kInit;
constexpr ContainerKind kApp = ContainerKind::kApp;

class Accounting : public ::testing::TestWithParam<Row> {};

TEST_P(Accounting, OfOnePod) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node", {{.id = "g0"}, {.id = "g1"}}));
  cluster.PutPod(HolderOf(GetParam().containers));
  EXPECT_EQ(cluster.UseOf("node"), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Accounting,
    ::testing::Values(
        Row{"TwoApps", {{{kApp, 100, 10}}, {{kApp, 200, 20}}}, {{2, 300, 30}, {}}},
        Row{"TwoInitsOnly", {{{kInit, 100, 10}}, {{kInit, 200, 30}}}, {{1, 200, 30}, {}}},
        Row{"InitAndApp", {{{kInit, 500, 50}}, {{kApp, 100, 10}}}, {{1, 500, 50}, {}}},
        Row{"InitAndTwoApps",
            {{{kInit, 100, 10}}, {{kApp, 200, 20}}, {{kApp, 300, 30}}},
            {{2, 500, 50}, {}}},
        Row{"ThreeInitsAndApp",
            {{{kInit, 100, 0}}, {{kInit, 300, 0}}, {{kInit, 200, 0}}, {{kApp, 50, 0}}},
            {{1, 300, 0}, {}}},
        // HAMi takes the larger one (contract 11.6).
        Row{"OneInitTwice", {{{kInit, 100, 10}, {kInit, 200, 20}}}, {{2, 300, 30}, {}}},
        Row{"SidecarInitAndApp",
            {{{ContainerKind::kSidecar, 100, 10}}, {{kInit, 200, 20}}, {{kApp, 150, 15}}},
            {{2, 300, 30}, {}}},
        Row{"TwoGpusEach",
            {{{kInit, 200, 20, "g0"}, {kInit, 300, 30, "g1"}},
             {{kApp, 100, 10, "g0"}, {kApp, 150, 15, "g1"}}},
            {{1, 200, 20}, {1, 300, 30}}}),
    [](const auto& row) { return row.param.name; });

TEST(AccountingTest, ShrinksOnceWhenInitContainersHaveEnded) {
  Cluster cluster(TestRegistry());
  cluster.PutNode(TestNode("node", {{.id = "g0"}}));
  PodFacts pod = HolderOf({{{kInit, 500, 50}}, {{kApp, 100, 10}}});
  cluster.PutPod(pod);
  ASSERT_EQ(cluster.QuotaUses().size(), 1U);
  const int64_t before_mib = cluster.QuotaUses()[0].memory_mib;
  pod.init_done = true;
  cluster.PutPod(pod);
  EXPECT_THAT(cluster.UseOf("node"), ElementsAre(DeviceUse{1, 100, 10}));
  EXPECT_EQ(before_mib - cluster.QuotaUses()[0].memory_mib, 400);
  // The watch says it again: it stays as it is.
  cluster.PutPod(pod);
  EXPECT_THAT(cluster.UseOf("node"), ElementsAre(DeviceUse{1, 100, 10}));
}

}  // namespace
}  // namespace hami::placement
