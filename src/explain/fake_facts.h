// SPDX-License-Identifier: Apache-2.0
//
// For tests: a small cluster, written down. Nodes with GPUs of 23028Mi as our driver publishes
// them, claims and pods.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dra/names.h"
#include "explain/facts.h"

namespace hami::explain {

inline constexpr int64_t kFakeMib = int64_t{1} << 20;
inline constexpr int64_t kFakeGib = int64_t{1} << 30;

inline domain::SliceDevice FakeGpu(int index, int64_t memory_mib = 23028) {
  const int64_t memory = memory_mib * kFakeMib;
  domain::SliceDevice device;
  device.name = "hami-gpu-" + std::to_string(index);
  device.shareable = true;
  device.attributes["productName"] = std::string("NVIDIA A10");
  device.attributes["uuid"] = "GPU-" + std::to_string(index);
  device.capacity["cores"] = {
      .value = 100,
      .policy = domain::RequestPolicy{
          .default_value = 0,
          .valid_range = domain::RequestPolicy::Range{.min = 0, .max = 100, .step = 1}}};
  device.capacity["memory"] = {
      .value = memory,
      .binary = true,
      .policy = domain::RequestPolicy{.default_value = memory,
                                      .valid_range = domain::RequestPolicy::Range{
                                          .min = kFakeMib, .max = memory, .step = kFakeMib}}};
  return device;
}

inline domain::ResourceSlice FakeSlice(const std::string& node, int gpus) {
  domain::ResourceSlice slice;
  slice.driver = dra::kDriverName;
  slice.node_name = slice.pool_name = node;
  for (int i = 0; i < gpus; ++i) slice.devices.push_back(FakeGpu(i));
  return slice;
}

inline domain::DeviceRequest FakeRequest(const std::string& name, int64_t cores,
                                         int64_t memory_gib) {
  return {.name = name,
          .device_class = dra::kDriverName,
          .capacity = {{"cores", cores}, {"memory", memory_gib * kFakeGib}}};
}

// A claim that waits for one GPU.
inline domain::ResourceClaim FakeClaim(const std::string& name, int64_t cores, int64_t memory_gib) {
  domain::ResourceClaim claim;
  claim.namespace_name = "default";
  claim.name = name;
  claim.requests = {FakeRequest("gpu", cores, memory_gib)};
  return claim;
}

// The same with its share of a GPU, for a pod.
inline domain::ResourceClaim FakeHolder(const std::string& name, const std::string& node, int gpu,
                                        int64_t cores, int64_t memory_gib) {
  domain::ResourceClaim claim = FakeClaim(name, cores, memory_gib);
  claim.allocated = true;
  claim.results = {{.request = "gpu",
                    .driver = dra::kDriverName,
                    .pool = node,
                    .device = "hami-gpu-" + std::to_string(gpu),
                    .share_id = "b0d9bd1c",
                    .consumed = claim.requests[0].capacity}};
  claim.reserved_for = {{.resource = "pods", .name = name + "-pod", .uid = name + "-uid"}};
  return claim;
}

inline PodFacts FakePod(const std::string& name, const std::string& phase) {
  return {.namespace_name = "default",
          .name = name,
          .uid = name + "-uid",
          .phase = phase,
          .node = phase == "Pending" ? "" : "n1",
          .scheduler = "default-scheduler"};
}

// Pending, with the scheduler's message.
inline PodFacts FakeWaitingPod(const std::string& name, const std::string& message) {
  PodFacts pod = FakePod(name, "Pending");
  pod.conditions = {{.type = "PodScheduled", .reason = "Unschedulable", .message = message}};
  return pod;
}

inline ClusterFacts FakeCluster(std::vector<domain::ResourceSlice> slices,
                                std::vector<domain::ResourceClaim> claims) {
  ClusterFacts cluster;
  cluster.classes = std::vector<ClassFacts>{
      {.name = dra::kDriverName,
       .selectors = {"device.driver == \"hami-core-gpu.project-hami.io\""}}};
  cluster.slices = std::move(slices);
  cluster.claims = std::move(claims);
  return cluster;
}

inline ClaimFacts FakeQuestion(const domain::ResourceClaim& claim, std::vector<PodFacts> pods) {
  return {.namespace_name = claim.namespace_name,
          .name = claim.name,
          .claim = claim,
          .pods = std::move(pods)};
}

}  // namespace hami::explain
