// SPDX-License-Identifier: Apache-2.0
//
// The cluster as placement sees it: nodes with their devices, what pods hold of them, and the CPU
// and memory of nodes and of all their pods. Kept current by single changes, never rebuilt. No
// clock, no I/O, no lock: who shares one guards it.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/allocation.h"
#include "placement/request.h"
#include "vendor/device.h"

namespace hami::placement {

class Rule;  // rules/rule.h

struct NodeFacts {
  std::string name;
  std::vector<vendor::Device> devices;
  std::map<std::string, std::string> labels;       // for rules of single vendors
  std::map<std::string, std::string> annotations;  // likewise
  int64_t cpu_milli = 0;                           // allocatable
  int64_t memory_bytes = 0;
};

// A pod that is on a node, or about to be.
struct PodFacts {
  std::string uid;
  std::string namespace_name;
  std::string name;
  std::string node;
  std::vector<domain::ContainerKind> kinds;  // by container
  std::vector<domain::Slice> slices;         // of device ids; empty: native resources only
  bool init_done = false;                    // init containers have given back what they held
  int32_t priority = 0;
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  ScopeTraits traits;  // for quotas with scopes
};

// One ResourceQuota's limits on vendors' memory and cores (contract 1.11). Of several in a
// namespace every one must hold. A pod counts with the most that it holds at any one time, as in
// Kubernetes' own quotas: an init container and an app container do not add up.
struct QuotaFacts {
  std::string namespace_name;
  std::string name;
  // "limits.nvidia.com/gpumem" -> 20480: MiB, or units of device-config's memoryFactor, also for
  // vendors of which pods ask in larger ones; 0 blocks.
  std::map<std::string, int64_t> limits;
  QuotaScope scope;
};

// What the pods of a namespace hold of one vendor, and the smallest limit of quotas without scopes;
// none: no limit.
struct QuotaUse {
  std::string namespace_name;
  vendor::VendorId vendor = 0;
  int64_t memory_mib = 0;
  int64_t cores = 0;
  std::optional<int64_t> memory_limit_mib;
  std::optional<int64_t> cores_limit;
};

// How one device is used now.
struct DeviceUse {
  int32_t slots = 0;
  int32_t memory_mib = 0;
  int32_t cores = 0;

  bool operator==(const DeviceUse&) const = default;
};

// Why one node does not fit, for events and people: reason words of contract 1.8 with counts.
struct Misfit {
  std::string node;
  std::string text;  // "2/8 CardInsufficientMemory, 6/8 CardTypeMismatch"
};

// What the nearest node lacks, card by card (nearest first).
struct NearestMiss {
  std::string node;
  std::string text;  // "node-3: 1 of 2 cards fits; GPU-a has 4096 MiB free of 8192 asked"
};

struct NodeScore {
  std::string node;
  double score = 0;  // higher is better under the policy
};

struct Decision {
  std::optional<domain::Allocation> allocation;  // none: nothing fits
  double score = 0;
  int32_t candidates = 0;              // nodes that could fit by what is known of them in short
  std::vector<Misfit> misfits;         // by node as asked; only if nothing fits
  std::optional<NearestMiss> nearest;  // likewise
  // Containers could not be tried in every way on some node within the bound of steps: a better
  // node, or any, may have been missed. Misfits of such nodes say "gave up after N steps".
  bool gave_up = false;
};

class Cluster {
 public:
  explicit Cluster(const vendor::Registry& registry);  // which outlives it
  // With rules other than those of src/placement/rules, for tests.
  Cluster(const vendor::Registry& registry, const Rule* (*find_rule)(const vendor::Spec&));
  ~Cluster();
  Cluster(Cluster&&) noexcept;
  Cluster& operator=(Cluster&&) noexcept;

  // Add or replace. What pods hold on a node stays, also of devices that it no longer has.
  void PutNode(const NodeFacts& node);
  void RemoveNode(std::string_view name);
  // Add or replace by uid. A pod on a node that is not known counts once the node comes.
  void PutPod(const PodFacts& pod);
  void RemovePod(std::string_view uid);
  void PutQuota(const QuotaFacts& quota);
  void RemoveQuota(std::string_view namespace_name, std::string_view name);

  // The best of `nodes` (names; empty span: all). Changes nothing: the caller puts the pod. A name
  // that is not known, or has no devices, is a misfit "node unregistered" (a pod without devices
  // goes to any known node). A known name that repeats is one node. What the pod holds already
  // counts as free.
  Decision Place(const Request& request, std::span<const std::string_view> nodes) const;
  // The same on one node: for a bind without a reservation.
  Decision PlaceOn(const Request& request, std::string_view node) const;
  // All that fit, for node choice by kube-scheduler; misfits of the rest.
  std::vector<NodeScore> Fitting(const Request& request, std::span<const std::string_view> nodes,
                                 std::vector<Misfit>* misfits) const;

  size_t node_count() const;
  size_t pod_count() const;
  bool HasNode(std::string_view name) const;
  // For metrics, explain and tests.
  std::vector<std::string> NodeNames() const;
  const NodeFacts* FindNode(std::string_view name) const;
  std::vector<DeviceUse> UseOf(std::string_view node) const;  // by device of the node
  // What one slice takes of its device on that node (AWS Neuron: a mask counts its bits); what the
  // slice says where node or device is not known.
  DeviceUse UseOf(std::string_view node, const domain::Slice& slice) const;
  std::vector<PodFacts> PodsOn(std::string_view node) const;
  std::optional<PodFacts> FindPod(std::string_view uid) const;
  std::vector<QuotaUse> QuotaUses() const;
  // Devices on which more is held than there is; empty unless something broke a fence.
  std::vector<std::string> Overcommitted() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hami::placement
