// SPDX-License-Identifier: Apache-2.0
//
// Quotas where one of the memory resource is several MiB (contract 1.11): used 1000 of 2000 by a
// factor of 2 leaves 3000.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "placement/cluster.h"
#include "placement/request.h"
#include "vendor/registry.h"

namespace hami::placement {
namespace {

domain::Pod PodOf(const char* name, const char* memory) {
  domain::Pod pod;
  pod.namespace_name = "default";
  pod.name = pod.uid = name;
  pod.containers.emplace_back().name = "train";
  pod.containers[0].limits = {{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", memory}};
  return pod;
}

TEST(QuotaFactor, LimitsAreInTheUnitOfRequests) {
  const auto registry = vendor::Registry::FromDeviceConfig(
      "nvidia: {resourceCountName: nvidia.com/gpu, resourceMemoryName: nvidia.com/gpumem, "
      "memoryFactor: 2}",
      nullptr);
  ASSERT_TRUE(registry) << registry.error().message;
  Cluster cluster(*registry);
  domain::Node node;
  node.name = "n1";
  node.annotations["hami.io/node-nvidia-register"] =
      R"([{"id":"GPU-a","count":10,"devmem":80000,"devcore":100,"health":true}])";
  NodeFacts facts;
  facts.name = node.name;
  facts.devices = registry->DevicesOf(node, nullptr);
  cluster.PutNode(facts);
  cluster.PutQuota(
      {.namespace_name = "default", .name = "q", .limits = {{"limits.nvidia.com/gpumem", 2000}}});
  const auto place = [&](const char* name, const char* memory) {
    const auto request = MakeRequest(*registry, PodOf(name, memory), {});
    EXPECT_TRUE(request);
    const Decision decision = cluster.Place(*request, {});
    if (!decision.allocation) return false;
    PodFacts pod;
    pod.uid = name;
    pod.namespace_name = "default";
    pod.node = "n1";
    pod.kinds = {domain::ContainerKind::kApp};
    pod.slices = decision.allocation->slices;
    cluster.PutPod(pod);
    return true;
  };
  EXPECT_TRUE(place("half", "500"));  // 1000 MiB
  EXPECT_FALSE(place("too-much", "1501"));
  EXPECT_TRUE(place("the-rest", "1500"));
  EXPECT_FALSE(place("more", "1"));
}

// In HAMi a limit is MiB for vendors, too, of which pods ask in 256 MiB.
TEST(QuotaFactor, LimitsOfMluAreMib) {
  const vendor::Registry registry = vendor::Registry::Default();
  domain::Node node;
  node.name = "n1";
  node.capacity = {{"cambricon.com/mlu.smlu.vcore", "100"},
                   {"cambricon.com/mlu.smlu.vmemory", "192"}};
  NodeFacts facts;
  facts.name = node.name;
  facts.devices = registry.DevicesOf(node, nullptr);
  Cluster cluster(registry);
  cluster.PutNode(facts);
  domain::Pod pod = PodOf("a", "1");
  pod.containers[0].limits = {{"cambricon.com/vmlu", "1"},
                              {"cambricon.com/mlu.smlu.vmemory", "20"},
                              {"cambricon.com/mlu.smlu.vcore", "10"}};
  const auto request = MakeRequest(registry, pod, {});
  ASSERT_TRUE(request) << request.error().message;
  const auto fits = [&](int64_t limit) {
    cluster.PutQuota({.namespace_name = "default",
                      .name = "q",
                      .limits = {{"limits.cambricon.com/mlu.smlu.vmemory", limit}}});
    return cluster.Place(*request, {}).allocation.has_value();
  };
  EXPECT_TRUE(fits(5120));
  EXPECT_FALSE(fits(5119));
}

}  // namespace
}  // namespace hami::placement
