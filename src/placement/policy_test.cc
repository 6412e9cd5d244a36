// SPDX-License-Identifier: Apache-2.0

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/fake_cluster.h"
#include "placement/request.h"

namespace hami::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PolicyTest, NodePoliciesAreWords) {
  EXPECT_EQ(ParseNodePolicy("binpack"), NodePolicy::kBinpack);
  EXPECT_EQ(ParseNodePolicy("spread"), NodePolicy::kSpread);
  EXPECT_EQ(ParseNodePolicy("fragmentation"), NodePolicy::kFragmentation);
  EXPECT_EQ(ParseNodePolicy("Binpack"), std::nullopt);
  EXPECT_EQ(ParseNodePolicy(""), std::nullopt);
}

TEST(PolicyTest, DevicePoliciesAreChains) {
  EXPECT_THAT(ParseDevicePolicy("binpack").keys, ElementsAre(DeviceKey::kBinpack));
  EXPECT_THAT(ParseDevicePolicy("numa").keys, ElementsAre(DeviceKey::kNuma));
  EXPECT_THAT(ParseDevicePolicy("numa, binpack").keys,
              ElementsAre(DeviceKey::kNuma, DeviceKey::kBinpack));
  EXPECT_THAT(ParseDevicePolicy("binpack,numa,binpack").keys,
              ElementsAre(DeviceKey::kBinpack, DeviceKey::kNuma));
}

TEST(PolicyTest, WhatIsNotKnownIsSpread) {
  EXPECT_THAT(ParseDevicePolicy("fastest").keys, ElementsAre(DeviceKey::kSpread));
  EXPECT_THAT(ParseDevicePolicy("fastest,binpack").keys, ElementsAre(DeviceKey::kBinpack));
}

TEST(PolicyTest, MutexAndTopologyAreFiltersOfAChain) {
  const DevicePolicy mutex = ParseDevicePolicy("mutex");
  EXPECT_TRUE(mutex.only_idle);
  EXPECT_FALSE(mutex.topology_aware);
  const DevicePolicy both = ParseDevicePolicy("topology-aware,mutex,binpack");
  EXPECT_TRUE(both.only_idle);
  EXPECT_TRUE(both.topology_aware);
  EXPECT_THAT(both.keys, ElementsAre(DeviceKey::kBinpack));
}

TEST(PolicyTest, WeightsTolerateSpaces) {
  const Result<Weights> weights = ParseWeights(" memory = 3 ,slot=1, core=0 ");
  ASSERT_TRUE(weights);
  EXPECT_EQ(weights->slot, 1);
  EXPECT_EQ(weights->core, 0);
  EXPECT_EQ(weights->memory, 3);
}

TEST(PolicyTest, WeightsAreExactlyThree) {
  for (const char* text :
       {"", "slot=1", "slot=1,core=1", "slot=1,core=1,memory=1,slot=1", "slot=1,slot=1,memory=1",
        "slot=-1,core=1,memory=1", "slot=0,core=0,memory=0", "slot=1,core=1,speed=1",
        "slot=1.5,core=1,memory=1", "slot=,core=1,memory=1", "slot=1,core=1,memory",
        "slot=99999999999,core=1,memory=1"}) {
    const Result<Weights> weights = ParseWeights(text);
    ASSERT_FALSE(weights) << text;
    EXPECT_THAT(weights.error().message, HasSubstr("slot=1,core=1,memory=3"));
  }
}

domain::Pod GpuPod() {
  domain::Pod pod;
  pod.namespace_name = "team";
  pod.name = "train";
  pod.uid = "u1";
  domain::PodContainer& container = pod.containers.emplace_back();
  container.name = "main";
  container.limits = {{"nvidia.com/gpu", "2"}, {"nvidia.com/gpumem", "3000"}, {"cpu", "1500m"}};
  container.requests = {{"cpu", "500m"}, {"memory", "1Gi"}};
  return pod;
}

TEST(MakeRequestTest, ReadsWhatContainersAsk) {
  const Result<Request> request = MakeRequest(TestRegistry(), GpuPod(), {});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->pod_uid, "u1");
  EXPECT_EQ(request->namespace_name, "team");
  EXPECT_TRUE(request->WantsDevices());
  ASSERT_EQ(request->containers.size(), 1U);
  ASSERT_EQ(request->containers[0].requests.size(), 1U);
  EXPECT_EQ(request->containers[0].requests[0].count, 2);
  EXPECT_EQ(request->containers[0].requests[0].memory_mib, 3000);
  EXPECT_EQ(request->cpu_milli, 500);
  EXPECT_EQ(request->memory_bytes, int64_t{1} << 30);
}

TEST(MakeRequestTest, NativeResourcesArePhasesOfThePod) {
  domain::Pod pod;
  const auto add = [&pod](domain::ContainerKind kind, const char* cpu) {
    domain::PodContainer& container = pod.containers.emplace_back();
    container.kind = kind;
    container.requests["cpu"] = cpu;
  };
  add(domain::ContainerKind::kInit, "2");
  add(domain::ContainerKind::kSidecar, "1");
  add(domain::ContainerKind::kInit, "4");
  add(domain::ContainerKind::kApp, "1");
  add(domain::ContainerKind::kApp, "2");
  pod.overhead["cpu"] = "250m";
  const Result<Request> request = MakeRequest(TestRegistry(), pod, {});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->cpu_milli, 5250);  // the second init container beside the sidecar
  EXPECT_FALSE(request->WantsDevices());
}

TEST(MakeRequestTest, ALimitStandsForAMissingRequest) {
  domain::Pod pod;
  pod.containers.emplace_back().limits["cpu"] = "3";
  const Result<Request> request = MakeRequest(TestRegistry(), pod, {});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->cpu_milli, 3000);
}

TEST(MakeRequestTest, AnnotationsBeatDefaults) {
  domain::Pod pod = GpuPod();
  pod.annotations = {{"hami.io/node-scheduler-policy", "spread"},
                     {"hami.io/gpu-scheduler-policy", "numa,binpack"},
                     {"hami.io/device-scoring-weights", "slot=0,core=2,memory=1"},
                     {"nvidia.com/numa-bind", "true"},
                     {"nvidia.com/use-gputype", "A100, H100"},
                     {"nvidia.com/nouse-gpuuuid", "GPU-a"}};
  const Result<Request> request = MakeRequest(TestRegistry(), pod, {});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->policy.node, NodePolicy::kSpread);
  EXPECT_THAT(request->policy.device.keys, ElementsAre(DeviceKey::kNuma, DeviceKey::kBinpack));
  EXPECT_EQ(request->policy.weights.core, 2);
  EXPECT_TRUE(request->policy.numa_bind);
  EXPECT_THAT(request->selectors[0].use_types, ElementsAre("A100", "H100"));
  EXPECT_THAT(request->selectors[0].avoid_ids, ElementsAre("GPU-a"));
}

TEST(MakeRequestTest, DefaultsHoldWhereThePodSaysNothing) {
  Policy defaults;
  defaults.node = NodePolicy::kSpread;
  defaults.device.keys = {DeviceKey::kBinpack};
  const Result<Request> request = MakeRequest(TestRegistry(), GpuPod(), defaults);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->policy.node, NodePolicy::kSpread);
  EXPECT_THAT(request->policy.device.keys, ElementsAre(DeviceKey::kBinpack));
  EXPECT_FALSE(request->policy.numa_bind);
}

TEST(MakeRequestTest, WhatCannotBeReadSaysWhere) {
  domain::Pod pod = GpuPod();
  pod.annotations["hami.io/device-scoring-weights"] = "slot=1";
  Result<Request> request = MakeRequest(TestRegistry(), pod, {});
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("hami.io/device-scoring-weights"));

  pod = GpuPod();
  pod.containers[0].requests["cpu"] = "many";
  request = MakeRequest(TestRegistry(), pod, {});
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("container main: cpu"));
}

}  // namespace
}  // namespace hami::placement
