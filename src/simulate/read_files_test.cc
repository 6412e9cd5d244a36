// SPDX-License-Identifier: Apache-2.0
//
// Files of every form, from text to what is simulated.

#include "simulate/read_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/request.h"
#include "vendor/registry.h"

namespace hami::simulate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kNodes[] =
    "sn,cpu_milli,memory_mib,gpu,model\n"
    "node-a,64000,262144,2,P100\n"
    "node-b,96000,393216,0,\n";
constexpr char kFiveColumns[] =
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
    "whole,12000,16384,2,1000\n"
    "share,6000,12288,1,460\n"
    "cpu,1000,100,0,0\n";

const vendor::Registry& Vendors() {
  static const vendor::Registry registry = vendor::Registry::Default();
  return registry;
}

Result<Scenario> Read(const std::string& file, std::string_view text) {
  Scenario scenario;
  RETURN_IF_ERROR(AddText(Vendors(), file, text, &scenario));
  return scenario;
}

std::string FaultOf(const std::string& file, std::string_view text) {
  const Result<Scenario> scenario = Read(file, text);
  return scenario ? "" : scenario.error().message;
}

TEST(ReadFilesTest, TraceNodesHaveDevicesOfTheirModel) {
  const Result<Scenario> scenario = Read("nodes.csv", kNodes);
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_THAT(scenario->nodes, SizeIs(2));
  EXPECT_EQ(scenario->nodes[0].cpu_milli, 64000);
  EXPECT_EQ(scenario->nodes[0].memory_bytes, int64_t{262144} << 20);
  ASSERT_THAT(scenario->nodes[0].devices, SizeIs(2));
  EXPECT_EQ(scenario->nodes[0].devices[1].type, "P100");
  EXPECT_EQ(scenario->nodes[0].devices[1].memory_mib, 10'000);
  EXPECT_THAT(scenario->nodes[1].devices, IsEmpty());
}

TEST(ReadFilesTest, TracePodsOfFiveColumnsAskForDevices) {
  const Result<Scenario> scenario = Read("pods.csv", kFiveColumns);
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_THAT(scenario->pods, SizeIs(3));
  EXPECT_FALSE(scenario->timed);
  const auto whole = placement::MakeRequest(Vendors(), scenario->pods[0].pod, {});
  ASSERT_TRUE(whole) << whole.error().message;
  ASSERT_THAT(whole->containers[0].requests, SizeIs(1));
  EXPECT_EQ(whole->containers[0].requests[0].count, 2);
  EXPECT_EQ(whole->containers[0].requests[0].memory_mib, 10'000);
  EXPECT_EQ(whole->containers[0].requests[0].cores, 100);
  EXPECT_EQ(whole->cpu_milli, 12000);
  const auto share = placement::MakeRequest(Vendors(), scenario->pods[1].pod, {});
  ASSERT_TRUE(share);
  EXPECT_EQ(share->containers[0].requests[0].memory_mib, 4600);
  EXPECT_EQ(share->containers[0].requests[0].cores, 46);
  const auto cpu = placement::MakeRequest(Vendors(), scenario->pods[2].pod, {});
  ASSERT_TRUE(cpu);
  EXPECT_FALSE(cpu->WantsDevices());
}

TEST(ReadFilesTest, TracePodsMayHaveTimesAndModels) {
  const Result<Scenario> scenario =
      Read("pods.csv",
           "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time\n"
           "p,1000,1,1,500,V100M16|V100M32,LS,10,25\nq,1000,1,1,500,,BE,11,\n");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_TRUE(scenario->timed);
  EXPECT_EQ(scenario->pods[0].arrives_s, 10);
  EXPECT_EQ(scenario->pods[0].leaves_s, 25);
  EXPECT_EQ(scenario->pods[1].leaves_s, std::nullopt);
  const auto request = placement::MakeRequest(Vendors(), scenario->pods[0].pod, {});
  ASSERT_TRUE(request);
  EXPECT_THAT(request->selectors[0].use_types, ElementsAre("V100M16", "V100M32"));
}

TEST(ReadFilesTest, FaultsOfTracesNameTheLine) {
  const std::string pods = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n";
  EXPECT_EQ(FaultOf("p.csv", pods + "a,1,1,1,1001\n"),
            "p.csv:2: gpu_milli \"1001\" is no whole number from 0 to 1000");
  EXPECT_EQ(FaultOf("p.csv", pods + "a,1,1,1,500\nb,1,1,2,500\n"),
            "p.csv:3: 2 GPUs and 500 thousandths: a share is of one GPU");
  EXPECT_EQ(FaultOf("p.csv", pods + "a,1,1,1,0\n"),
            "p.csv:2: num_gpu says GPUs, gpu_milli none of them");
  EXPECT_EQ(FaultOf("n.csv", std::string(kNodes) + "node-a,1,1,1,x\n"),
            "n.csv:4: a second node \"node-a\"");
  EXPECT_EQ(FaultOf("p.csv", "name,cpu_milli\na,1\n"),
            "p.csv:1: there is no column \"num_gpu\", only name, cpu_milli");
  EXPECT_EQ(FaultOf("p.csv",
                    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time\n"
                    "a,1,1,0,0,9,8\n"),
            "p.csv:2: deletion_time is before creation_time");
}

constexpr char kYaml[] = R"(# two documents and a list
apiVersion: v1
kind: Node
metadata:
  name: n1
  annotations: {hami.io/node-nvidia-register: "GPU-a,10,8000,100,A10,0,true,0,hami-core:"}
status: {allocatable: {cpu: "4", memory: 8Gi}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: team}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: main
        resources: {limits: {nvidia.com/gpu: 1, nvidia.com/gpumem: 3000}, requests: {cpu: 500m}}
---
kind: List
items:
- kind: Pod
  metadata: {name: bound, namespace: team, uid: u}
  spec: {nodeName: n1, containers: [{name: c, resources: {requests: {cpu: 1}}}]}
- kind: Service
  metadata: {name: s}
- kind: ResourceQuota
  metadata: {name: q, namespace: team}
  spec: {hard: {limits.nvidia.com/gpumem: 7k, limits.cpu: 4}}
)";

TEST(ReadFilesTest, ManifestsAreNodesPodsAndWhatMakesThem) {
  const Result<Scenario> scenario = Read("all.yaml", kYaml);
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_THAT(scenario->nodes, SizeIs(1));
  EXPECT_EQ(scenario->nodes[0].cpu_milli, 4000);
  ASSERT_THAT(scenario->pods, SizeIs(2));
  EXPECT_EQ(scenario->pods[1].pod.Text(), "team/web-1");
  EXPECT_EQ(scenario->pods[1].source, "all.yaml:9");
  ASSERT_THAT(scenario->running, SizeIs(1));
  EXPECT_EQ(scenario->running[0].node, "n1");
  EXPECT_EQ(scenario->running[0].cpu_milli, 1000);
  ASSERT_THAT(scenario->quotas, SizeIs(1));
  EXPECT_EQ(scenario->quotas[0].namespace_name, "team");
  EXPECT_THAT(scenario->quotas[0].limits,
              ElementsAre(std::pair<const std::string, int64_t>("limits.nvidia.com/gpumem", 7000)));
  EXPECT_THAT(scenario->notes,
              ::testing::Contains("all.yaml:25: a Service makes no pods that are simulated"));
}

TEST(ReadFilesTest, JsonIsReadAsYaml) {
  const Result<Scenario> scenario = Read(
      "pod.json",
      R"({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}})");
  ASSERT_TRUE(scenario) << scenario.error().message;
  ASSERT_THAT(scenario->pods, SizeIs(1));
  EXPECT_EQ(scenario->pods[0].pod.Text(), "default/p");
}

TEST(ReadFilesTest, FaultsOfManifestsNameTheLine) {
  EXPECT_THAT(FaultOf("x.yaml", "kind: Pod\n  spec: [\n"), HasSubstr("x.yaml:2: "));
  EXPECT_EQ(FaultOf("x.yaml", "a: b\n---\nmetadata: {}\n"), "x.yaml:1: has no kind");
  EXPECT_EQ(FaultOf("x.yaml",
                    "kind: Node\nmetadata: {name: n}\n---\nkind: Node\n"
                    "metadata: {name: n}\n"),
            "x.yaml:4: a second node \"n\"");
  EXPECT_EQ(FaultOf("x.yaml", "- 1\n- 2\n"), "x.yaml:1: is no object of Kubernetes");
  EXPECT_THAT(FaultOf("x.yaml", "kind: Job\nspec: {parallelism: -1, template: {spec: {}}}\n"),
              HasSubstr("x.yaml:1: -1 parallelism of a Job is no number"));
  EXPECT_EQ(FaultOf("x.yaml", "# nothing\n"), "x.yaml: holds no objects");
}

// Of which the library would make documents without an end.
TEST(ReadFilesTest, ASignThatMayNotStandThereIsNamed) {
  EXPECT_EQ(FaultOf("x.yaml", ",a: b\n"), "x.yaml:1: a sign that may not stand here");
  EXPECT_EQ(FaultOf("x.yaml", "kind: Namespace\n---\n, a\n"),
            "x.yaml:3: a sign that may not stand here");
}

// Ten levels of ten aliases would be ten thousand million words.
TEST(ReadFilesTest, AliasesCannotBlowUp) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) text += (k > 0 ? ", *a" : "*a") + std::to_string(i - 1);
    text += "]\n";
  }
  EXPECT_THAT(FaultOf("x.yaml", text), HasSubstr("its aliases make it too large"));
}

}  // namespace
}  // namespace hami::simulate
