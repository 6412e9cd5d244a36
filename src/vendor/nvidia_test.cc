// SPDX-License-Identifier: Apache-2.0
//
// What NVIDIA's entry has beyond others: links, MIG, modes (contract 1.8, 2.2, 2.3).

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vendor/registry.h"
#include "vendor/selectors.h"

namespace hami::vendor {
namespace {

domain::Pod PodOf(domain::ResourceTexts limits) {
  domain::Pod pod;
  pod.namespace_name = "default";
  pod.name = "train";
  pod.containers.emplace_back().name = "train";
  pod.containers[0].limits = std::move(limits);
  return pod;
}

domain::Slice SliceOf(uint16_t container, std::string device, int32_t memory_mib, int32_t cores) {
  domain::Slice slice;
  slice.container = container;
  slice.vendor = "NVIDIA";
  slice.device = std::move(device);
  slice.memory_mib = memory_mib;
  slice.cores = cores;
  return slice;
}

TEST(Nvidia, ReadsLinksBetweenGpus) {
  const Registry registry = Registry::Default();
  domain::Node node;
  node.annotations["hami.io/node-nvidia-register"] = R"([{"id":"GPU-a"},{"id":"GPU-b","index":1}])";
  node.annotations["hami.io/node-nvidia-score"] =
      R"([{"uuid":"GPU-a","score":{"GPU-b":200,"GPU-c":10}},{"uuid":"GPU-x","score":{"GPU-a":1}}])";
  std::vector<std::string> problems;

  const std::vector<Device> devices = registry.DevicesOf(node, &problems);

  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].pair_scores,
            (std::map<std::string, int32_t>{{"GPU-b", 200}, {"GPU-c", 10}}));
  EXPECT_TRUE(devices[1].pair_scores.empty());
  EXPECT_TRUE(problems.empty());

  node.annotations["hami.io/node-nvidia-score"] = "[";
  EXPECT_EQ(registry.DevicesOf(node, &problems).size(), 2U);
  EXPECT_EQ(problems.size(), 1U);
}

TEST(Nvidia, ReadsMigProfiles) {
  const Registry registry = Registry::Default();
  domain::Node node;
  node.annotations["hami.io/node-nvidia-register"] =
      R"([{"id":"GPU-a","count":7,"devmem":40960,"devcore":100,"type":"NVIDIA A100-SXM4-40GB",)"
      R"("mode":"mig","migProfiles":[{"name":"1g.5gb","memoryMB":4864,"core":15,"sliceCount":1,)"
      R"("placements":[{"start":0,"size":1},{"start":1,"size":1}]}],"health":true}])";

  const std::vector<Device> devices = registry.DevicesOf(node, nullptr);

  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].mode, "mig");
  ASSERT_EQ(devices[0].mig_profiles.size(), 1U);
  const MigProfile& profile = devices[0].mig_profiles[0];
  EXPECT_EQ(profile.name, "1g.5gb");
  EXPECT_EQ(profile.memory_mib, 4864);
  EXPECT_EQ(profile.cores, 15);
  EXPECT_EQ(profile.slice_count, 1);
  ASSERT_EQ(profile.places.size(), 2U);
  EXPECT_EQ(profile.places[1].start, 1);
}

TEST(Nvidia, KeepsMigInstances) {
  const Registry registry = Registry::Default();
  domain::Pod pod = PodOf({{"nvidia.com/gpu", "2"}});
  domain::Allocation allocation;
  allocation.node = "n1";
  allocation.slices = {SliceOf(0, "GPU-a", 9728, 28), SliceOf(0, "GPU-a", 9728, 28)};
  allocation.slices[0].mig = domain::MigPlacement{.profile = "2g.10gb", .start = 2, .size = 2};
  allocation.slices[1].mig = domain::MigPlacement{.profile = "2g.10gb",
                                                  .start = 0,
                                                  .size = 2,
                                                  .mig_uuid = "MIG-5f3c",
                                                  .gpu_instance = 5,
                                                  .compute_instance = 0};

  pod.annotations = registry.WriteAllocation(pod, allocation, {}, 0);
  const auto read = registry.ReadAllocation(pod);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->slices, allocation.slices);
}

TEST(Nvidia, RefusesMigInstancesThatAreNotItsSlices) {
  const Registry registry = Registry::Default();
  domain::Pod pod = PodOf({{"nvidia.com/gpu", "1"}});
  pod.annotations["hami.io/vgpu-node"] = "n1";
  pod.annotations["hami.io/vgpu-devices-allocated"] = "GPU-a,NVIDIA,4864,15:;";
  const auto instance = [](int container, int device, const char* gpu) {
    return fmt::format(
        R"([{{"containerIndex":{},"deviceIndex":{},"gpuUUID":"{}","profile":"1g.5gb",)"
        R"("placement":{{"start":0,"size":1}}}}])",
        container, device, gpu);
  };
  pod.annotations["hami.io/vgpu-mig-allocations"] = instance(0, 0, "GPU-a");
  EXPECT_TRUE(registry.ReadAllocation(pod));
  for (const std::string& bad : {instance(1, 0, "GPU-a"), instance(0, 1, "GPU-a"),
                                 instance(0, 0, "GPU-b"), std::string("{}"), std::string("[")}) {
    pod.annotations["hami.io/vgpu-mig-allocations"] = bad;
    EXPECT_FALSE(registry.ReadAllocation(pod)) << bad;
  }
}

TEST(Nvidia, ChoosesByMode) {
  const Registry registry = Registry::Default();
  domain::Pod pod = PodOf({});
  Device device;
  device.mode = "hami-core";
  const auto matches = [&](const char* mode) {
    pod.annotations = {{"nvidia.com/vgpu-mode", mode}};
    return MatchesType(registry.SelectorsOf(pod, 0), device);
  };
  EXPECT_TRUE(matches("hami-core"));
  EXPECT_TRUE(matches("mig,hami-core"));
  EXPECT_TRUE(matches(""));
  EXPECT_FALSE(matches("mig"));
}

}  // namespace
}  // namespace hami::vendor
