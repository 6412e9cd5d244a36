// SPDX-License-Identifier: Apache-2.0
//
// Weak points of HAMi (contract hami-control-plane.md, 11) that no test of a single part shows:
// docs/reference/hami-weak-points.md has the whole list.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "extender/fake_extender.h"

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WeakPointsTest : public ExtenderTest {};

Json MigNode() {
  Json node = NodeJson("n1", true, 0, 0);
  node["metadata"]["annotations"]["hami.io/node-nvidia-register"] =
      R"([{"id":"GPU-m","count":2,"devmem":40960,"devcore":100,"type":"NVIDIA A100-SXM4-40GB",)"
      R"("mode":"mig","migProfiles":[{"name":"3g.20gb","memoryMB":19968,"core":43,)"
      R"("sliceCount":3,"placements":[{"start":0,"size":4},{"start":4,"size":4}]}],)"
      R"("health":true}])";
  return node;
}

// 11.5: what was chosen a moment ago is an instance like any other, also before the API says so.
TEST_F(WeakPointsTest, AMigGpuStaysInUseBetweenAChoiceAndItsEcho) {
  PutNode(MigNode());
  PutPod(PodJson("a", "ua", 1, 10'000, 0));
  EXPECT_THAT(Filter(PodJson("a", "ua", 1, 10'000, 0), {"n1"})["NodeNames"], SizeIs(1));
  EXPECT_THAT(Filter(PodJson("b", "ub", 1, 10'000, 0), {"n1"})["NodeNames"], SizeIs(1));
  EXPECT_EQ(Filter(PodJson("c", "uc", 1, 10'000, 0), {"n1"})["FailedNodes"]["n1"],
            "1/1 CardTimeSlicingExhausted");
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["hami.io/vgpu-mig-allocations"],
            R"([{"containerIndex":0,"deviceIndex":0,"gpuUUID":"GPU-m","profile":"3g.20gb",)"
            R"("placement":{"start":4,"size":4}}])");
}

// 11.16: where the Binding carries the decision there is no lock: two pods of a node are under way
// at once, with one write each.
TEST_F(WeakPointsTest, PodsOfANodeDoNotWaitForEachOther) {
  PutNode("n1", 1, 10'000);
  for (const char* name : {"a", "b"}) {
    PutPod(PodJson(name, std::string("u") + name, 1, 3'000, 10));
    Filter(Pod(name), {"n1"});
  }
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_EQ(Bind("b", "ub", "n1")["Error"], "");
  EXPECT_THAT(api_.Writes(), ElementsAre("POST /api/v1/namespaces/default/pods/a/binding",
                                         "POST /api/v1/namespaces/default/pods/b/binding"));
}

// 11.3: what an earlier choice left on a pod that never was bound is no use of anything for longer
// than a bind can take, and not beside its next choice.
TEST_F(WeakPointsTest, AnOldChoiceOnAPodIsNoUse) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  Json pod = PodJson("a", "ua", 1, 6'000, 10);
  pod["metadata"]["annotations"] = {
      {"hami.io/vgpu-node", "n1"},
      {"hami.io/vgpu-time", "1705054796"},
      {"hami.io/vgpu-devices-allocated", "GPU-n1-0,NVIDIA,6000,10:;"}};
  ShowPod(pod);
  EXPECT_EQ(MemoryUsed("n1"), 0);
  EXPECT_EQ(Filter(pod, {"n2"})["NodeNames"], Json({"n2"}));
  ShowPod(pod);
  EXPECT_EQ(MemoryUsed("n1"), 0);
  EXPECT_EQ(MemoryUsed("n2"), 6'000);
}

// 11.8: a percentage is memory, wherever the quota counts.
TEST_F(WeakPointsTest, APercentageCountsAgainstTheQuotaAsMemory) {
  PutNode("n1", 2, 10'000);
  json::Document document;
  ASSERT_TRUE(document.Parse(R"({"metadata":{"namespace":"default","name":"q"},)"
                             R"("spec":{"hard":{"limits.nvidia.com/gpumem":"6000"}}})"));
  state_.quotas().OnUpsert(
      std::make_shared<const QuotaEntry>(ReadQuotaEntry(registry_, document.root()).value()));
  const auto share = [](const char* name, const char* percent) {
    Json pod = PodJson(name, std::string("u") + name, 0, 0, 0);
    pod["spec"]["containers"][0]["resources"]["limits"] = {
        {"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem-percentage", percent}};
    return pod;
  };
  EXPECT_EQ(Filter(share("a", "70"), {"n1"})["FailedNodes"]["n1"], "2/2 ResourceQuotaNotFit");
  EXPECT_THAT(Filter(share("a", "40"), {"n1"})["NodeNames"], SizeIs(1));
  EXPECT_THAT(Filter(share("b", "30"), {"n1"})["NodeNames"], IsEmpty());
  EXPECT_THAT(Filter(share("b", "20"), {"n1"})["NodeNames"], SizeIs(1));
}

// 11.13: whole nodes, as a scheduler without a node cache sends them, are no simulation; the
// simulation is a path of its own.
TEST_F(WeakPointsTest, WholeNodesAreReservedOnAndASimulationIsNot) {
  PutNode("n1", 1, 10'000);
  const Json body = {{"Pod", PodJson("a", "ua", 1, 6'000, 10)},
                     {"Nodes", {{"items", {NodeJson("n1", true, 1, 10'000)}}}}};
  EXPECT_THAT(Json::parse(extender_.DryRun(body.dump()))["Nodes"]["items"], SizeIs(1));
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_THAT(Json::parse(extender_.Filter(body.dump()))["Nodes"]["items"], SizeIs(1));
  EXPECT_EQ(MemoryUsed(), 6'000);
}

}  // namespace
}  // namespace hami::extender
