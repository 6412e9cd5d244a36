// SPDX-License-Identifier: Apache-2.0
//
// What is used of a simulated cluster, counted beside the placement code and not by it: room of
// nodes for CPU and memory, devices allocated, fragments. One thread.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "placement/cluster.h"
#include "placement/fragmentation.h"
#include "placement/request.h"
#include "simulate/outcome.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::simulate {

class Meter {
 public:
  // The scenario outlives it. The mix of pods by which fragments are measured is the scenario's.
  Meter(const vendor::Registry& registry, const Scenario& scenario);

  // A pod comes (1) or goes (-1).
  void Add(const placement::PodFacts& pod, int sign);

  // The node that has the most CPU and memory left, each as a share of the node's, of those with
  // enough for the request; empty: none has.
  std::string_view EmptiestWithRoom(const placement::Request& request) const;

  // Of the request, in whole devices.
  double Asked(const placement::Request& request) const;
  double devices() const { return devices_; }
  double allocated() const { return allocated_; }
  // Free room that a pod of the mix cannot use, in whole devices.
  double Fragments() const;

  // Types, CPU and memory.
  void Report(Outcome* outcome) const;

 private:
  struct Device {
    uint32_t type = 0;
    int64_t memory_mib = 0;
    int64_t cores = 0;
    int64_t memory_used_mib = 0;
    int64_t cores_used = 0;
    bool usable = true;
    double Share() const;
  };
  struct Node {
    int64_t cpu_free_milli = 0;
    int64_t memory_free_bytes = 0;
    std::vector<Device> devices;
    std::unordered_map<std::string_view, uint32_t> by_id;
  };
  uint32_t TypeNumber(const vendor::Registry& registry, const vendor::Device& device);
  placement::NodeRoom RoomOf(const Node& node, const placement::NodeFacts& facts) const;

  const Scenario& scenario_;
  std::vector<Node> nodes_;  // as in the scenario
  std::unordered_map<std::string_view, uint32_t> by_name_;
  std::vector<TypeUse> types_;
  std::vector<int32_t> usual_memory_mib_;  // by vendor: of the device that there is most of
  std::vector<placement::TypicalPod> mix_;
  double devices_ = 0;
  double allocated_ = 0;
};

// What each pod asks for in whole devices, of those that the nodes have most of; 0: none, or it
// cannot be read.
std::vector<double> AskedDevices(const vendor::Registry& registry, const Scenario& scenario);

// Devices of all nodes that take anything new.
double DeviceCountOf(const Scenario& scenario);

// Why no node fits, nodes of the same reason counted together.
std::string ReasonText(const placement::Decision& decision);

Latency LatencyOf(std::vector<double> times_us);

}  // namespace hami::simulate
