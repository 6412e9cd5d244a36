// SPDX-License-Identifier: Apache-2.0

#include "extender/state_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/clock.h"
#include "extender/extender_metrics.h"
#include "extender/fake_api.h"

namespace hami::extender {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class Follower : public Leadership {
 public:
  int64_t LeftMs() const override { return 0; }
  std::string Describe() const override { return ""; }
};

class StateMetricsTest : public ::testing::Test {
 protected:
  StateMetricsTest() {
    json::Document document;
    EXPECT_TRUE(document.Parse(NodeJson("n1", true, 1, 10'000).dump()));
    state_.nodes().OnUpsert(
        std::make_shared<const NodeEntry>(ReadNodeEntry(registry_, document.root()).value()));
    FakeApi::Json pod = PodJson("p", "up", 1, 2'500, 30);
    pod["spec"]["nodeName"] = "n1";
    pod["metadata"]["annotations"] = {
        {"hami.io/vgpu-node", "n1"},
        {"hami.io/vgpu-devices-allocated", "GPU-n1-0,NVIDIA,2500,30:;"}};
    EXPECT_TRUE(document.Parse(pod.dump()));
    state_.pods().OnUpsert(
        std::make_shared<const PodRecord>(ReadPodEntry(registry_, document.root()).value()));
    EXPECT_TRUE(
        document.Parse(R"({"metadata":{"namespace":"default","name":"q"},)"
                       R"("spec":{"hard":{"limits.nvidia.com/gpumem":"9000","pods":"3"}}})"));
    state_.quotas().OnUpsert(
        std::make_shared<const QuotaEntry>(ReadQuotaEntry(registry_, document.root()).value()));
  }

  // As the watch shows it; its annotations are right.
  void PutPod(const FakeApi::Json& pod) {
    json::Document document;
    ASSERT_TRUE(document.Parse(pod.dump()));
    const auto entry = ReadPodEntry(registry_, document.root());
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->problem, "");
    state_.pods().OnUpsert(std::make_shared<const PodRecord>(*entry));
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
  ClusterState state_{registry_, base::SystemClock(), {}};
  metrics::Registry metrics_;
};

// Names, labels and values: contract hami-control-plane.md 1.14.
TEST_F(StateMetricsTest, DevicesPodsAndQuotasHaveHamisNames) {
  AddStateMetrics(registry_, state_, false, &metrics_);
  const std::string text = metrics_.Text();
  const std::string device = R"(zone="vGPU",node="n1",device_uuid="GPU-n1-0",device_index="0",)"
                             R"(device_type="NVIDIA A100-SXM4-80GB")";
  for (const std::string& line :
       {"hami_gpu_memory_limit_bytes{" + device + "} 10485760000",
        "hami_gpu_core_limit_ratio{" + device + "} 100",
        "hami_gpu_memory_allocated_bytes{" + device + R"(,device_cores="100"} 2621440000)",
        "hami_gpu_shared_count{" + device + "} 1",
        "hami_gpu_core_allocated_ratio{" + device + "} 30",
        "hami_node_gpu_overview{" + device +
            R"(,device_cores="100",device_memory_limit="10000"} 2621440000)",
        "hami_node_gpu_memory_allocated_ratio{" + device + "} 0.25",
        std::string(R"(hami_vgpu_memory_allocated_bytes{zone="vGPU",namespace="default",)"
                    R"(node="n1",pod="p",container_index="0",device_uuid="GPU-n1-0"} 2621440000)"),
        std::string(R"(hami_vgpu_core_allocated_ratio{zone="vGPU",namespace="default",)"
                    R"(node="n1",pod="p",container_index="0",device_uuid="GPU-n1-0"} 30)"),
        std::string(R"(hami_resource_quota_used{zone="vGPU",namespace="default",)"
                    R"(quota_name="nvidia.com/gpumem",limit="9000"} 2500)"),
        // No limit is the text 0 here, and no series below.
        std::string(R"(hami_resource_quota_used{zone="vGPU",namespace="default",)"
                    R"(quota_name="nvidia.com/gpucores",limit="0"} 30)"),
        std::string(R"(hami_resource_quota_limit{zone="vGPU",namespace="default",)"
                    R"(quota_name="nvidia.com/gpumem"} 9000)")}) {
    EXPECT_THAT(text, HasSubstr(line + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("GPUDeviceMemoryLimit")));
  EXPECT_THAT(text, Not(HasSubstr("quota_name=\"pods\"")));
  EXPECT_THAT(text, Not(HasSubstr(R"(hami_resource_quota_limit{zone="vGPU",namespace="default",)"
                                  R"(quota_name="nvidia.com/gpucores")")));
}

TEST_F(StateMetricsTest, LegacyNamesComeOnDemand) {
  AddStateMetrics(registry_, state_, true, &metrics_);
  const std::string text = metrics_.Text();
  const std::string device = R"(zone="vGPU",nodeid="n1",deviceuuid="GPU-n1-0",deviceidx="0")";
  const std::string type = R"(,devicetype="NVIDIA A100-SXM4-80GB")";
  for (const std::string& line :
       {"GPUDeviceMemoryLimit{" + device + type + "} 10485760000",
        "GPUDeviceCoreLimit{" + device + type + "} 100",
        "GPUDeviceSharedNum{" + device + type + "} 1",
        "GPUDeviceCoreAllocated{" + device + type + "} 30",
        "GPUDeviceMemoryAllocated{" + device + type + R"(,devicecores="100"} 2621440000)",
        "nodeGPUOverview{" + device + R"(,devicecores="100",devicememorylimit="10000")" + type +
            "} 2621440000",
        "nodeGPUMemoryPercentage{" + device + "} 0.25",
        std::string(R"(vGPUMemoryAllocated{zone="vGPU",podnamespace="default",nodename="n1",)"
                    R"(podname="p",containeridx="0",deviceuuid="GPU-n1-0"} 2621440000)"),
        std::string(R"(vGPUCoreAllocated{zone="vGPU",podnamespace="default",nodename="n1",)"
                    R"(podname="p",containeridx="0",deviceuuid="GPU-n1-0"} 30)"),
        std::string(R"(QuotaUsed{zone="vGPU",quotanamespace="default",)"
                    R"(quotaName="nvidia.com/gpumem",limit="9000"} 2500)")}) {
    EXPECT_THAT(text, HasSubstr(line + "\n"));
  }
}

TEST_F(StateMetricsTest, WhatIsHeldAndWhoLeads) {
  Follower follower;
  AddOwnMetrics(state_, follower, &metrics_);
  const std::string text = metrics_.Text();
  for (const char* line : {"hami_scheduler_reservations{state=\"reserved\"} 0\n",
                           "hami_scheduler_overcommitted_devices 0\n", "hami_scheduler_leader 0\n",
                           "hami_scheduler_pods 1\n", "hami_scheduler_nodes 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, ContainsRegex("hami_build_info\\{version=\"[^\"]*\",revision=\"[^\"]*\","
                                  "build_date=\"[^\"]*\",go_version=\"[^\"]*\","
                                  "compiler=\"[^\"]*\",platform=\"[^\"]*\"\\} 1\n"));
}

// AMD's cores are compute units and Neuron's a mask: percent in the new names, as noted in the old
// ones. The worked example of contract 9.3: half of 64 units.
TEST_F(StateMetricsTest, CoresThatAreNoPercentagesBecomeSome) {
  json::Document document;
  FakeApi::Json node = NodeJson("n2", true, 0, 0);
  node["metadata"]["annotations"]["hami.io/node-amd-register"] =
      R"([{"id":"0x9d1c","count":4,"devmem":65520,"devcore":64,"type":"AMD MI210","health":true}])";
  node["status"]["capacity"]["aws.amazon.com/neuron"] = "1";
  node["status"]["capacity"]["aws.amazon.com/neuroncore"] = "2";
  ASSERT_TRUE(document.Parse(node.dump()));
  state_.nodes().OnUpsert(
      std::make_shared<const NodeEntry>(ReadNodeEntry(registry_, document.root()).value()));
  const auto put = [&](const char* name, FakeApi::Json limits, const char* key, const char* text) {
    FakeApi::Json pod = PodJson(name, name, 0, 0, 0);
    pod["spec"]["containers"][0]["resources"]["limits"] = std::move(limits);
    pod["spec"]["nodeName"] = "n2";
    pod["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n2"}, {key, text}};
    PutPod(pod);
  };
  put("half", {{"amd.com/gpu", "1"}, {"amd.com/gpucores", "50"}}, "hami.io/amd-devices-allocated",
      "0x9d1c,AMD MI210,1024,32:;");
  put("second", {{"aws.amazon.com/neuroncore", "1"}}, "hami.io/aws-neuron-devices-allocated",
      "n2-AWSNeuron-0,AWSNeuron,0,2:;");

  AddStateMetrics(registry_, state_, true, &metrics_);
  const std::string text = metrics_.Text();

  const std::string amd = R"(device_uuid="0x9d1c",device_index="0",device_type="AMD MI210")";
  const std::string neuron =
      R"(device_uuid="n2-AWSNeuron-0",device_index="0",device_type="AWSNeuron")";
  const auto held = [](const char* pod, const char* device) {
    return R"({zone="vGPU",namespace="default",node="n2",pod=")" + std::string(pod) +
           R"(",container_index="0",device_uuid=")" + device + R"("} )";
  };
  const auto legacy = [](const char* pod, const char* device) {
    return R"({zone="vGPU",podnamespace="default",nodename="n2",podname=")" + std::string(pod) +
           R"(",containeridx="0",deviceuuid=")" + device + R"("} )";
  };
  const std::string node_label = R"({zone="vGPU",node="n2",)";
  const std::string old_device =
      R"({zone="vGPU",nodeid="n2",deviceuuid="0x9d1c",deviceidx="0",devicetype="AMD MI210"} )";
  for (const std::string& line :
       {"hami_gpu_core_limit_ratio" + node_label + amd + "} 100",
        "hami_gpu_core_allocated_ratio" + node_label + amd + "} 50",
        "hami_gpu_memory_allocated_bytes" + node_label + amd + R"(,device_cores="64"} 1073741824)",
        "hami_vgpu_core_allocated_ratio" + held("half", "0x9d1c") + "50",
        "GPUDeviceCoreLimit" + old_device + "64", "GPUDeviceCoreAllocated" + old_device + "32",
        "vGPUCoreAllocated" + legacy("half", "0x9d1c") + "32",
        "hami_gpu_core_allocated_ratio" + node_label + neuron + "} 50",
        "hami_vgpu_core_allocated_ratio" + held("second", "n2-AWSNeuron-0") + "50",
        "vGPUCoreAllocated" + legacy("second", "n2-AWSNeuron-0") + "2"}) {
    EXPECT_THAT(text, HasSubstr(line + "\n"));
  }
  // Neuron devices have no memory that could be told in parts.
  EXPECT_THAT(text, Not(HasSubstr("hami_node_gpu_memory_allocated_ratio" + node_label + neuron)));
}

// Instances are told of once the node has made them.
TEST_F(StateMetricsTest, MigInstancesThatNodesHaveMade) {
  FakeApi::Json pod = PodJson("mig", "um", 1, 1'000, 0);
  pod["spec"]["nodeName"] = "n1";
  pod["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n1"},
                                    {"hami.io/vgpu-devices-allocated", "GPU-n1-0,NVIDIA,4500,0:;"}};
  const auto put = [&](const std::string& made) {
    const std::string instance =
        R"([{"containerIndex":0,"deviceIndex":0,"gpuUUID":"GPU-n1-0","profile":"1g.5gb",)"
        R"("placement":{"start":4,"size":1})" +
        made + "}]";
    pod["metadata"]["annotations"]["hami.io/vgpu-mig-allocations"] = instance;
    PutPod(pod);
  };
  AddStateMetrics(registry_, state_, true, &metrics_);
  put("");
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("mig_uuid")));
  put(R"(,"migUUID":"MIG-1","gpuInstanceID":7,"computeInstanceID":0)");
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr(R"(hami_node_gpu_mig_instance_info{zone="vGPU",node="n1",)"
                              R"(device_uuid="GPU-n1-0",device_index="0",mig_uuid="MIG-1",)"
                              R"(profile="1g.5gb",gpu_instance_id="7",compute_instance_id="0",)"
                              R"(placement_start="4",placement_size="1"} 1)"
                              "\n"));
  EXPECT_THAT(text, HasSubstr(R"(nodeGPUMigInstance{zone="vGPU",nodeid="n1",)"
                              R"(deviceuuid="GPU-n1-0",deviceidx="0",migname="1g.5gb-7"} 1)"
                              "\n"));
}

TEST_F(StateMetricsTest, SlicesOfOneDeviceAddUpAndEndedInitContainersHoldNothing) {
  FakeApi::Json pod = PodJson("two", "u2", 2, 1'000, 10);
  FakeApi::Json init = pod["spec"]["containers"][0];
  init["name"] = "init";
  init["resources"]["limits"]["nvidia.com/gpu"] = "1";
  pod["spec"]["initContainers"] = FakeApi::Json::array({init});
  pod["spec"]["nodeName"] = "n1";
  pod["metadata"]["annotations"] = {
      {"hami.io/vgpu-node", "n1"},
      {"hami.io/vgpu-devices-allocated",
       "GPU-n1-0,NVIDIA,700,5:;GPU-n1-0,NVIDIA,1000,10:GPU-n1-0,NVIDIA,1000,10:;"}};
  AddStateMetrics(registry_, state_, false, &metrics_);
  const auto held = [](const char* container) {
    return R"({zone="vGPU",namespace="default",node="n1",pod="two",container_index=")" +
           std::string(container) + R"(",device_uuid="GPU-n1-0"} )";
  };
  PutPod(pod);
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("hami_vgpu_memory_allocated_bytes" + held("0") + "734003200\n"));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("hami_vgpu_memory_allocated_bytes" + held("1") + "2097152000\n"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("hami_vgpu_core_allocated_ratio" + held("1") + "20\n"));
  pod["status"]["initContainerStatuses"] = {
      {{"name", "init"}, {"state", {{"terminated", {{"exitCode", 0}}}}}}};
  PutPod(pod);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr(held("0"))));
  EXPECT_THAT(metrics_.Text(), HasSubstr(held("1")));
}

TEST(ExtenderMetricsTest, WhatIsNotedIsCountedUnderItsNames) {
  metrics::Registry registry;
  ExtenderMetrics metrics(registry);
  metrics.NoteCall("filter", "answered", 0.25);
  for (const char* protocol : {"binding", "hami", "none"}) metrics.NoteBind(protocol);
  metrics.NoteDrift(3, 2);
  metrics.NoteReconcile(true);
  metrics.NoteReconcile(false);
  metrics.NoteWake("woken");
  metrics.NotePreemption("made_room");
  metrics.NoteVictims(2);
  const std::string text = registry.Text();
  for (const char* line :
       {R"(hami_scheduler_extender_calls_total{verb="filter",result="answered"} 1)",
        R"(hami_scheduler_extender_seconds_sum{verb="filter"} 0.25)",
        R"(hami_scheduler_extender_seconds_bucket{verb="filter",le="0.1"} 0)",
        R"(hami_scheduler_extender_seconds_bucket{verb="filter",le="0.25"} 1)",
        R"(hami_scheduler_extender_seconds_count{verb="preempt"} 0)",
        R"(hami_scheduler_binds_total{protocol="binding"} 1)",
        R"(hami_scheduler_binds_total{protocol="hami"} 1)",
        R"(hami_scheduler_binds_total{protocol="none"} 1)", "hami_scheduler_drift_pods 3",
        "hami_scheduler_watch_behind_pods 2",
        R"(hami_scheduler_reconciliations_total{result="ok"} 1)",
        R"(hami_scheduler_reconciliations_total{result="failed"} 1)",
        R"(hami_scheduler_wakes_total{result="woken"} 1)",
        R"(hami_scheduler_preemptions_total{result="made_room"} 1)",
        "hami_scheduler_preemption_victims_total 2"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

}  // namespace
}  // namespace hami::extender
