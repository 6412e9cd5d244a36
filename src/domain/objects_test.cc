// SPDX-License-Identifier: Apache-2.0
//
// Pods and nodes from JSON.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/fake_objects.h"
#include "domain/node.h"
#include "domain/pod.h"

namespace hami::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Result<Pod> Read(const nlohmann::json& pod) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(pod.dump()));
  return ReadPod(document.root());
}

Result<Node> ReadTheNode(const nlohmann::json& node) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(node.dump()));
  return ReadNode(document.root());
}

TEST(ReadPodTest, Metadata) {
  const Pod pod = Read(FakePod()).value();
  EXPECT_EQ(pod.Text(), "team-a/train-0");
  EXPECT_EQ(pod.uid, "0e6bd8c8-5f2c-4b4e-9c7e-0a4f6ad7f2b1");
  EXPECT_EQ(pod.resource_version, "4711");
  EXPECT_EQ(pod.created_s, 1'787'306'400);
  EXPECT_TRUE(pod.terminating);
  EXPECT_THAT(pod.labels, ElementsAre(Pair("app", "train"), Pair("hami.io/vgpu-node", "node-1"),
                                      Pair("scheduling.x-k8s.io/pod-group", "gang")));
  // Without kubectl's copy of the object.
  EXPECT_THAT(pod.annotations, ElementsAre(Pair("empty", ""), Pair("hami.io/vgpu-node", "node-1")));
  EXPECT_EQ(pod.pod_group, "gang");
}

TEST(ReadPodTest, ContainersInitFirst) {
  const Pod pod = Read(FakePod()).value();
  ASSERT_EQ(pod.containers.size(), 4U);
  EXPECT_EQ(pod.containers[0].name, "fetch");
  EXPECT_EQ(pod.containers[0].kind, ContainerKind::kInit);
  EXPECT_EQ(pod.containers[1].name, "proxy");
  EXPECT_EQ(pod.containers[1].kind, ContainerKind::kSidecar);
  EXPECT_EQ(pod.containers[2].name, "web");
  EXPECT_EQ(pod.containers[2].kind, ContainerKind::kApp);
  EXPECT_FALSE(pod.containers[2].privileged);
  EXPECT_EQ(pod.containers[3].name, "train");
  EXPECT_EQ(pod.containers[3].kind, ContainerKind::kApp);
  EXPECT_TRUE(pod.containers[3].privileged);
  EXPECT_THAT(pod.containers[3].limits,
              ElementsAre(Pair("nvidia.com/gpu", "2"), Pair("nvidia.com/gpucores", "30")));
  EXPECT_THAT(pod.containers[3].requests,
              ElementsAre(Pair("cpu", "1500m"), Pair("nvidia.com/gpu", "2")));
}

TEST(ReadPodTest, LimitsBeforeRequests) {
  PodContainer container{.limits = {{"a", "1"}}, .requests = {{"a", "2"}, {"b", "3"}}};
  EXPECT_EQ(*container.Asked("a"), "1");
  EXPECT_EQ(*container.Asked("b"), "3");
  EXPECT_EQ(container.Asked("c"), nullptr);
}

TEST(ReadPodTest, Scheduling) {
  const Pod pod = Read(FakePod()).value();
  EXPECT_EQ(pod.scheduler_name, "hami-scheduler");
  EXPECT_EQ(pod.node_name, "node-1");
  EXPECT_EQ(pod.nominated_node_name, "node-2");
  EXPECT_EQ(pod.phase, "Pending");
  EXPECT_EQ(pod.priority, -5);
  EXPECT_EQ(pod.priority_class, "batch");
  EXPECT_TRUE(pod.has_deadline);
  EXPECT_TRUE(pod.never_preempts);
  EXPECT_TRUE(pod.gated);
  EXPECT_THAT(pod.overhead, ElementsAre(Pair("cpu", "250m"), Pair("memory", "120Mi")));
}

TEST(ReadPodTest, WhatIsNotThereIsEmpty) {
  const Pod pod = Read({{"spec", nlohmann::json::object()}}).value();
  EXPECT_EQ(pod, Pod{.init_done = true});
}

TEST(ReadPodTest, TheGroupOfTheSpecWhereNoLabelNamesOne) {
  nlohmann::json pod = FakePod();
  pod["metadata"]["labels"].erase("scheduling.x-k8s.io/pod-group");
  EXPECT_EQ(Read(pod)->pod_group, "group-of-the-spec");
}

TEST(ReadPodTest, InitIsDoneWhenEveryPlainInitContainerEndedWell) {
  nlohmann::json pod = FakePod();
  EXPECT_TRUE(Read(pod)->init_done);  // the sidecar runs, which does not count
  nlohmann::json& status = pod["status"]["initContainerStatuses"][0];
  status["state"]["terminated"]["exitCode"] = 1;
  EXPECT_FALSE(Read(pod)->init_done);
  status["state"] = {{"running", {}}};
  EXPECT_FALSE(Read(pod)->init_done);  // again, in a new sandbox: lastState says nothing
  pod["status"].erase("initContainerStatuses");
  EXPECT_FALSE(Read(pod)->init_done);
  pod["spec"]["initContainers"].erase(0);
  EXPECT_TRUE(Read(pod)->init_done);
}

TEST(ReadPodTest, NumbersMayBeResources) {
  nlohmann::json pod = FakePod();
  pod["spec"]["containers"][1]["resources"]["limits"] = {{"nvidia.com/gpu", 1}, {"x", nullptr}};
  EXPECT_THAT(Read(pod)->containers[3].limits, ElementsAre(Pair("nvidia.com/gpu", "1")));
}

TEST(ReadPodTest, OtherTypesReadAsAbsent) {
  nlohmann::json pod = FakePod();
  pod["metadata"]["labels"] = {{"a", 5}, {"b", "c"}};
  pod["metadata"]["annotations"] = 7;
  pod["spec"]["containers"] = "none";
  pod["spec"]["priority"] = 5'000'000'000;
  pod["status"] = nlohmann::json::array();
  const Pod read = Read(pod).value();
  EXPECT_THAT(read.labels, ElementsAre(Pair("b", "c")));
  EXPECT_THAT(read.annotations, IsEmpty());
  EXPECT_EQ(read.containers.size(), 2U);
  EXPECT_EQ(read.priority, 2147483647);
  EXPECT_EQ(read.phase, "");
}

TEST(ReadPodTest, WhatIsNoPod) {
  EXPECT_THAT(Read(FakeNode()).error().message, HasSubstr("a Node is no pod"));
  for (const char* text : {"[]", "5", "{}", R"({"kind":"Pod"})", R"({"kind":"Pod","spec":5})"}) {
    const auto pod = Read(nlohmann::json::parse(text));
    ASSERT_FALSE(pod) << text;
    EXPECT_EQ(pod.error().code, Code::kInvalidArgument);
  }
}

TEST(ReadPodTest, OverAreTheTwoThatEnded) {
  for (const char* phase : {"Pending", "Running", "Unknown", ""}) {
    EXPECT_FALSE(Pod{.phase = phase}.IsOver()) << phase;
  }
  for (const char* phase : {"Succeeded", "Failed"}) {
    EXPECT_TRUE(Pod{.phase = phase}.IsOver()) << phase;
  }
}

TEST(ReadNodeTest, All) {
  const Node node = ReadTheNode(FakeNode()).value();
  EXPECT_EQ(node.name, "node-1");
  EXPECT_EQ(node.uid, "7a3c");
  EXPECT_EQ(node.resource_version, "99");
  EXPECT_THAT(node.labels,
              ElementsAre(Pair("gpu", "on"), Pair("kubernetes.io/hostname", "node-1")));
  EXPECT_THAT(node.annotations, ElementsAre(Pair("hami.io/device-cordon", "GPU-a")));
  EXPECT_THAT(node.capacity, ElementsAre(Pair("cpu", "64"), Pair("memory", "528214456Ki"),
                                         Pair("nvidia.com/gpu", "80")));
  EXPECT_THAT(node.allocatable, ElementsAre(Pair("cpu", "63500m"), Pair("memory", "520Gi"),
                                            Pair("nvidia.com/gpu", "80")));
  EXPECT_THAT(node.taints,
              ElementsAre(Taint{"dedicated", "train", "NoSchedule"},
                          Taint{"node.kubernetes.io/unschedulable", "", "NoSchedule"}));
  EXPECT_TRUE(node.unschedulable);
  EXPECT_TRUE(node.ready);
}

TEST(ReadNodeTest, ReadyIsTrueAlone) {
  for (const char* status : {"False", "Unknown", ""}) {
    nlohmann::json node = FakeNode();
    node["status"]["conditions"][1]["status"] = status;
    EXPECT_FALSE(ReadTheNode(node)->ready) << status;
  }
  nlohmann::json node = FakeNode();
  node["status"].erase("conditions");
  EXPECT_FALSE(ReadTheNode(node)->ready);
}

TEST(ReadNodeTest, WhatIsNoNode) {
  EXPECT_THAT(ReadTheNode(FakePod()).error().message, HasSubstr("a Pod is no node"));
  EXPECT_FALSE(ReadTheNode(nlohmann::json::parse(R"({"metadata":{}})")));
  EXPECT_FALSE(ReadTheNode(nlohmann::json::parse("[]")));
}

}  // namespace
}  // namespace hami::domain
