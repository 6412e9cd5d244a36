// SPDX-License-Identifier: Apache-2.0
//
// Taking over from HAMi in place (contract hami-control-plane.md, 12): what it left on pods counts,
// in every form that it has.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "extender/fake_extender.h"

namespace hami::extender {
namespace {

using ::testing::SizeIs;

class UpgradeTest : public ExtenderTest {
 protected:
  // A running pod with what HAMi's scheduler and plugin wrote on it.
  static Json LeftByHami(Json pod, const Json& annotations) {
    pod["metadata"]["labels"] = {{"hami.io/vgpu-node", "n1"}};
    pod["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n1"},
                                      {"hami.io/vgpu-time", "1705054796"},
                                      {"hami.io/bind-phase", "success"},
                                      {"hami.io/bind-time", "1705054797"}};
    pod["metadata"]["annotations"].update(annotations);
    pod["spec"]["nodeName"] = "n1";
    pod["status"]["phase"] = "Running";
    return pod;
  }
  static Json GpuLeftByHami(Json pod, const std::string& text) {
    return LeftByHami(std::move(pod), Json({{"hami.io/vgpu-devices-allocated", text},
                                            {"hami.io/vgpu-devices-to-allocate", ";;;;"}}));
  }
  static void AddContainer(Json* pod, const char* list, const char* name, const Json& limits) {
    (*pod)["spec"][list].push_back({{"name", name}, {"resources", {{"limits", limits}}}});
  }
};

TEST_F(UpgradeTest, RunningPodsCountFromTheirAnnotations) {
  PutNode("n1", 1, 10'000, false);
  Json two = PodJson("a", "ua", 1, 3'000, 0);
  AddContainer(&two, "containers", "d", {{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "5000"}});
  ShowPod(GpuLeftByHami(two, "GPU-n1-0,NVIDIA,3000,0:;GPU-n1-0,NVIDIA,5000,0:;"));
  EXPECT_EQ(MemoryUsed(), 8'000);
  EXPECT_EQ(Filter(PodJson("b", "ub", 1, 2'001, 0), {"n1"})["FailedNodes"]["n1"],
            "1/1 CardInsufficientMemory");
  EXPECT_THAT(Filter(PodJson("b", "ub", 1, 2'000, 0), {"n1"})["NodeNames"], SizeIs(1));
}

// Contract 11.1: HAMi leaves out the entry of an init container without devices, takes the app's
// for that of the init container, and forgets it when that has ended.
TEST_F(UpgradeTest, AppsKeepTheirCardWhenAnInitContainerWithoutOneHasEnded) {
  PutNode("n1", 1, 10'000, false);
  Json pod = PodJson("a", "ua", 1, 6'000, 10);
  AddContainer(&pod, "initContainers", "fetch", Json::object());
  pod["status"]["initContainerStatuses"] = {
      {{"name", "fetch"}, {"state", {{"terminated", {{"exitCode", 0}}}}}}};
  for (const char* text :
       {"GPU-n1-0,NVIDIA,6000,10:;", ";GPU-n1-0,NVIDIA,6000,10:;", ";GPU-n1-0,NVIDIA,6000,10:;;"}) {
    ShowPod(GpuLeftByHami(pod, text));
    EXPECT_EQ(MemoryUsed(), 6'000) << text;
  }
}

TEST_F(UpgradeTest, AShortTextBelongsToTheContainerThatAsked) {
  PutNode("n1", 1, 10'000, false);
  Json pod = PodJson("a", "ua", 0, 0, 0);
  AddContainer(&pod, "containers", "d", {{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "6000"}});
  ShowPod(GpuLeftByHami(pod, "GPU-n1-0,NVIDIA,6000,10:;"));
  EXPECT_EQ(MemoryUsed(), 6'000);
  state_.Look([](const placement::Cluster& cluster) {
    const auto found = cluster.FindPod("ua");
    ASSERT_TRUE(found);
    ASSERT_THAT(found->slices, SizeIs(1));
    EXPECT_EQ(found->slices[0].container, 1);
  });
}

// A card in MIG mode, an older plugin's text of DCUs, a vendor without a list of its own.
TEST_F(UpgradeTest, NodesOfEveryFormHoldTheirPods) {
  Json node = NodeJson("n1", false, 0, 0);
  node["status"]["allocatable"].erase("nvidia.com/gpu");
  node["metadata"]["annotations"] = {
      {"hami.io/node-nvidia-register",
       R"([{"id":"GPU-m","count":7,"devmem":40960,"devcore":100,"type":"NVIDIA A100-SXM4-40GB",)"
       R"("mode":"mig","migProfiles":[{"name":"1g.5gb","memoryMB":4864,"core":15,)"
       R"("sliceCount":1,"placements":[{"start":0,"size":1},{"start":1,"size":1}]}],)"
       R"("health":true}])"},
      {"hami.io/node-dcu-register", "DCU-1,4,32768,100,DCU-Z100L,0,true,0,hami-core:"}};
  node["status"]["capacity"]["kunlunxin.com/xpu"] = "8";
  PutNode(node);
  ShowPod(LeftByHami(
      PodJson("a", "ua", 1, 4'000, 0),
      Json({{"hami.io/vgpu-devices-allocated", "GPU-m,NVIDIA,4864,15:;"},
            {"hami.io/vgpu-mig-allocations",
             R"([{"containerIndex":0,"deviceIndex":0,"gpuUUID":"GPU-m","profile":"1g.5gb",)"
             R"("placement":{"start":1,"size":1},"migUUID":"MIG-1","gpuInstanceID":7,)"
             R"("computeInstanceID":0}])"}})));
  Json dcu = PodJson("b", "ub", 0, 0, 0);
  dcu["spec"]["containers"][0]["resources"]["limits"] = {{"hygon.com/dcunum", "1"},
                                                         {"hygon.com/dcumem", "2000"}};
  ShowPod(LeftByHami(dcu, Json({{"hami.io/dcu-devices-allocated", "DCU-1,DCU,2000,60:;"},
                                {"hami.io/dcu-devices-to-allocate", "DCU-1,DCU,2000,60:;"}})));
  Json xpu = PodJson("c", "uc", 0, 0, 0);
  xpu["spec"]["containers"][0]["resources"]["limits"] = {{"kunlunxin.com/xpu", "1"}};
  ShowPod(LeftByHami(xpu, Json({{"hami.io/kunlun-allocated", "n1-kunlun-3,kunlun,98304,100:;"},
                                {"BAIDU_COM_DEVICE_IDX", "3"}})));
  state_.Look([](const placement::Cluster& cluster) {
    const placement::NodeFacts* facts = cluster.FindNode("n1");
    ASSERT_NE(facts, nullptr);
    const std::vector<placement::DeviceUse> uses = cluster.UseOf("n1");
    ASSERT_EQ(uses.size(), facts->devices.size());
    std::vector<std::string> held;
    for (size_t i = 0; i < uses.size(); ++i) {
      if (uses[i].slots == 0) continue;
      held.push_back(facts->devices[i].id + " " + std::to_string(uses[i].memory_mib) + " " +
                     std::to_string(uses[i].cores));
    }
    EXPECT_THAT(held, ::testing::UnorderedElementsAre("GPU-m 4864 15", "DCU-1 2000 60",
                                                      "n1-kunlun-3 98304 100"));
  });
}

}  // namespace
}  // namespace hami::extender
