// SPDX-License-Identifier: Apache-2.0

#include "explain/placing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "explain/text.h"

namespace hami::explain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const vendor::Registry& Vendors() {
  static const vendor::Registry registry = vendor::Registry::Default();
  return registry;
}

placement::NodeFacts Node(const std::string& name, int count) {
  placement::NodeFacts node{.name = name, .cpu_milli = 8000, .memory_bytes = int64_t{1} << 34};
  for (int i = 0; i < count; ++i) {
    vendor::Device device;
    device.vendor = static_cast<vendor::VendorId>(Vendors().Find("NVIDIA") - &Vendors().at(0));
    device.id = "GPU-" + name + "-" + std::to_string(i);
    device.index = i;
    device.slots = 10;
    device.memory_mib = 16384;
    device.cores = 100;
    device.type = "NVIDIA A10";
    device.mode = "hami-core";
    node.devices.push_back(device);
  }
  return node;
}

placement::PodFacts Holder(const std::string& node, int device, int32_t memory_mib) {
  placement::PodFacts pod{.uid = node + std::to_string(device),
                          .namespace_name = "other",
                          .name = "holder",
                          .node = node};
  pod.kinds = {domain::ContainerKind::kApp};
  pod.slices = {{.container = 0,
                 .vendor = "NVIDIA",
                 .device = "GPU-" + node + "-" + std::to_string(device),
                 .memory_mib = memory_mib,
                 .cores = 10}};
  return pod;
}

PlacingFacts Question(const std::string& count, const std::string& memory) {
  PlacingFacts facts;
  facts.pod.namespace_name = "team";
  facts.pod.name = "train";
  domain::PodContainer container{.name = "main"};
  if (!count.empty()) container.limits["nvidia.com/gpu"] = count;
  if (!memory.empty()) container.limits["nvidia.com/gpumem"] = memory;
  facts.pod.containers.push_back(container);
  facts.nodes_known = true;
  return facts;
}

std::string TextOf(const PlacingFacts& facts) {
  Report report;
  report.placing = ExplainPlacing(Vendors(), facts);
  report.pod = PodFacts{.namespace_name = "team", .name = "train", .phase = "Pending"};
  report.pod->conditions = {{.type = "PodScheduled",
                             .holds = false,
                             .reason = "Unschedulable",
                             .message = "0/3 nodes are available."}};
  return RenderText(report);
}

std::string Golden(const std::string& name) {
  return base::ReadFile(base::JoinPath(HAMI_GOLDEN_FOLDER, name + ".txt"), 65536).value_or("");
}

PlacingFacts NoRoom() {
  PlacingFacts facts = Question("2", "12000");
  facts.nodes = {Node("far", 2), Node("near", 2), Node("bare", 0)};
  facts.running = {Holder("far", 0, 12000), Holder("far", 1, 16000), Holder("near", 0, 6384)};
  return facts;
}

TEST(PlacingTest, NodesWithoutRoomCardByCardNearestFirst) {
  const Placing placing = ExplainPlacing(Vendors(), NoRoom());
  EXPECT_EQ(placing.verdict, PlacingVerdict::kNoRoom);
  ASSERT_THAT(placing.misses, SizeIs(2));
  EXPECT_EQ(placing.misses[0].node, "near");
  EXPECT_THAT(placing.misses[0].cards, HasSubstr("GPU-near-0 has 10000 MiB free of 12000 asked"));
  EXPECT_EQ(placing.misses[1].node, "far");
  EXPECT_EQ(placing.more, 1U);
  EXPECT_EQ(TextOf(NoRoom()), Golden("pod_no_room"));
}

TEST(PlacingTest, NeuronCoresAreNoPercentages) {
  PlacingFacts facts = Question("1", "1");
  facts.pod.containers[0].limits = {{"aws.amazon.com/neuroncore", "8"}};
  EXPECT_THAT(ExplainPlacing(Vendors(), facts).asked, ElementsAre("main: 8 cores of AWSNeuron"));
}

TEST(PlacingTest, RoomThatIsThereNow) {
  PlacingFacts facts = NoRoom();
  facts.running.pop_back();
  const Placing placing = ExplainPlacing(Vendors(), facts);
  EXPECT_EQ(placing.verdict, PlacingVerdict::kFits);
  EXPECT_EQ(placing.node, "near");
  EXPECT_EQ(TextOf(facts), Golden("pod_fits"));
}

TEST(PlacingTest, CpuIsLookedAtToo) {
  PlacingFacts facts = Question("1", "1000");
  facts.pod.containers[0].requests["cpu"] = "9";
  facts.nodes = {Node("n", 1)};
  EXPECT_EQ(ExplainPlacing(Vendors(), facts).verdict, PlacingVerdict::kNoRoom);
}

TEST(PlacingTest, OtherVerdicts) {
  EXPECT_EQ(ExplainPlacing(Vendors(), Question("", "")).verdict, PlacingVerdict::kNoDevices);
  EXPECT_EQ(ExplainPlacing(Vendors(), Question("x", "")).verdict, PlacingVerdict::kRefused);
  PlacingFacts facts = Question("1", "100");
  facts.nodes = {Node("bare", 0)};
  EXPECT_EQ(ExplainPlacing(Vendors(), facts).verdict, PlacingVerdict::kNoDevice);
  facts.nodes_known = false;
  EXPECT_EQ(ExplainPlacing(Vendors(), facts).verdict, PlacingVerdict::kUnreadable);
  facts.pod.node_name = "n";
  EXPECT_EQ(ExplainPlacing(Vendors(), facts).verdict, PlacingVerdict::kPlaced);
}

TEST(PlacingTest, WhatCouldNotBeReadIsSaid) {
  PlacingFacts facts = NoRoom();
  facts.gaps = {{.what = "pods of other namespaces", .why = "not you"}};
  EXPECT_THAT(TextOf(facts), HasSubstr("pods of other namespaces could not be read: not you"));
}

}  // namespace
}  // namespace hami::explain
