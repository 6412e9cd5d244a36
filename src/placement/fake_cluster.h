// SPDX-License-Identifier: Apache-2.0
//
// For tests: nodes, pods and requests in a line each. NVIDIA's devices unless said.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "placement/cluster.h"
#include "placement/request.h"
#include "vendor/registry.h"

namespace hami::placement {

inline const vendor::Registry& TestRegistry() {
  static const vendor::Registry registry = vendor::Registry::Default();
  return registry;
}

inline vendor::VendorId TestVendor(std::string_view word) {
  return static_cast<vendor::VendorId>(TestRegistry().Find(word) - &TestRegistry().at(0));
}

struct TestDevice {
  std::string id;
  int32_t memory_mib = 8000;
  int32_t slots = 10;
  int32_t cores = 100;
  int32_t numa = 0;
  std::string type = "NVIDIA A10";
  std::string word = "NVIDIA";
};

inline vendor::Device ToDevice(const TestDevice& test, int32_t index) {
  vendor::Device device;
  device.vendor = TestVendor(test.word);
  device.id = test.id;
  device.index = index;
  device.slots = test.slots;
  device.memory_mib = test.memory_mib;
  device.cores = test.cores;
  device.numa = test.numa;
  device.type = test.type;
  device.mode = "hami-core";
  return device;
}

inline NodeFacts TestNode(std::string name, const std::vector<TestDevice>& devices) {
  NodeFacts node;
  node.name = std::move(name);
  for (const TestDevice& device : devices) {
    node.devices.push_back(ToDevice(device, static_cast<int32_t>(node.devices.size())));
  }
  return node;
}

// A100-40GB in MIG mode, with the profiles and places of contract 9.
inline vendor::Device TestMigDevice(std::string id) {
  vendor::Device device = ToDevice({.id = std::move(id), .memory_mib = 40960, .slots = 7}, 0);
  device.type = "NVIDIA A100-SXM4-40GB";
  device.mode = "mig";
  device.mig_profiles = {
      {.name = "1g.5gb", .memory_mib = 4864, .cores = 15, .slice_count = 1, .places = {}},
      {.name = "2g.10gb", .memory_mib = 9856, .cores = 29, .slice_count = 2, .places = {}},
      {.name = "3g.20gb", .memory_mib = 19968, .cores = 43, .slice_count = 3, .places = {}},
      {.name = "7g.40gb", .memory_mib = 40192, .cores = 100, .slice_count = 7, .places = {}},
  };
  for (int32_t start = 0; start < 7; ++start) {
    device.mig_profiles[0].places.push_back({.start = start, .size = 1});
  }
  for (const int32_t start : {0, 2, 4}) {
    device.mig_profiles[1].places.push_back({.start = start, .size = 2});
  }
  for (const int32_t start : {0, 4}) {
    device.mig_profiles[2].places.push_back({.start = start, .size = 4});
  }
  device.mig_profiles[3].places.push_back({.start = 0, .size = 8});
  return device;
}

struct TestAsk {
  int32_t count = 1;
  int32_t memory_mib = 0;
  int32_t cores = 0;
  int32_t memory_pct = 0;  // of all where neither is set: 100
  domain::ContainerKind kind = domain::ContainerKind::kApp;
  std::string word = "NVIDIA";
};

// One container each.
inline Request TestRequest(const std::vector<TestAsk>& asks) {
  Request request;
  request.pod_uid = "uid-of-request";
  request.namespace_name = "default";
  for (const TestAsk& test : asks) {
    ContainerAsk& container = request.containers.emplace_back();
    container.kind = test.kind;
    if (test.count == 0) continue;
    vendor::Request& asked = container.requests.emplace_back();
    asked.vendor = TestVendor(test.word);
    asked.count = test.count;
    asked.memory_mib = test.memory_mib;
    asked.cores = test.cores;
    asked.memory_pct = test.memory_mib > 0 ? 0 : test.memory_pct > 0 ? test.memory_pct : 100;
  }
  request.selectors.resize(TestRegistry().size());
  return request;
}

// The pod of a decision.
inline PodFacts TestPod(std::string uid, const Request& request,
                        const domain::Allocation& allocation) {
  PodFacts pod;
  pod.uid = std::move(uid);
  pod.namespace_name = request.namespace_name;
  pod.name = pod.uid;
  pod.node = allocation.node;
  for (const ContainerAsk& container : request.containers) pod.kinds.push_back(container.kind);
  pod.slices = allocation.slices;
  pod.cpu_milli = request.cpu_milli;
  pod.memory_bytes = request.memory_bytes;
  pod.traits = request.traits;
  return pod;
}

// A pod with one app container that holds one slice of each device named.
inline PodFacts TestHolder(std::string uid, std::string node,
                           const std::vector<std::string>& devices, int32_t memory_mib,
                           int32_t cores) {
  PodFacts pod;
  pod.uid = std::move(uid);
  pod.namespace_name = "others";
  pod.name = pod.uid;
  pod.node = std::move(node);
  pod.kinds = {domain::ContainerKind::kApp};
  for (const std::string& device : devices) {
    domain::Slice& slice = pod.slices.emplace_back();
    slice.vendor = "NVIDIA";
    slice.device = device;
    slice.memory_mib = memory_mib;
    slice.cores = cores;
  }
  return pod;
}

}  // namespace hami::placement
