// SPDX-License-Identifier: Apache-2.0
//
// The records behind Cluster: nodes, pods, namespaces, and of every node and vendor one summary of
// 64 bytes that says whether a request could fit there at all. All of it follows single changes: a
// pod that comes or goes touches its node and its namespace, nothing else.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "domain/allocation.h"
#include "placement/cluster.h"
#include "placement/name_index.h"
#include "placement/name_table.h"
#include "placement/rules/rule.h"
#include "vendor/registry.h"

namespace hami::placement {

// One device while pods come and go. What never changes with pods is in NodeFacts.
struct DeviceState {
  DeviceUse total;
  DeviceUse used;
  uint64_t mig_taken = 0;  // memory slices of the GPU, bit by bit
  uint64_t id_hash = 0;
  int32_t index = 0;
  int16_t numa = 0;
  vendor::VendorId vendor = 0;
  uint16_t model = 0;  // ClusterIndex::Model: type and mode
  bool healthy = false;
  bool cordoned = false;
  bool mig = false;      // cut into instances
  bool fault = false;    // what pods hold of it contradicts its mode: nothing new (contract 1.5)
  bool overlap = false;  // of instances that pods hold
};

// Devices of one vendor are neighbours.
struct VendorRange {
  vendor::VendorId vendor = 0;
  uint16_t begin = 0;
  uint16_t end = 0;
};

struct HeldSlice {
  uint16_t container = 0;
  uint16_t device = 0;  // of the node; from devices.size() on, of strangers
  vendor::VendorId vendor = 0;
  int32_t memory_mib = 0;
  int32_t cores = 0;
  struct More {
    std::optional<domain::MigPlacement> mig;
    std::string shape;
  };
  std::unique_ptr<More> more;  // null for most
};

struct NodeState {
  NodeFacts facts;  // devices by vendor and index
  std::vector<DeviceState> devices;
  std::vector<VendorRange> ranges;
  std::vector<std::string> strangers;  // ids of devices that pods hold and the node has not
  std::vector<uint32_t> pods;
  int64_t cpu_used_milli = 0;
  int64_t memory_used_bytes = 0;
  uint32_t instances = 0;      // MIG instances that pods hold
  bool had_instances = false;  // when last counted
  bool has_mig = false;        // a device that is cut into instances

  const VendorRange* RangeOf(vendor::VendorId vendor) const;
  std::string_view DeviceId(uint16_t device) const;
};

struct NamespaceState {
  std::string name;
  uint32_t pods = 0;
  struct Held {
    int64_t memory_mib = 0;
    int64_t cores = 0;
  };
  std::vector<Held> held;  // by vendor
  struct Quota {
    std::map<std::string, int64_t> limits;
    QuotaScope scope;
  };
  std::map<std::string, Quota, std::less<>> quotas;
  // Smallest of all quotas without scopes by vendor; none: no limit.
  struct Limit {
    std::optional<int64_t> memory_mib;
    std::optional<int64_t> cores;
  };
  std::vector<Limit> limits;  // by vendor; empty: no quota has any
  // Quotas with scopes, each for its own pods.
  struct Scoped {
    QuotaScope scope;
    std::vector<Limit> limits;  // by vendor
    std::vector<Held> held;     // likewise
  };
  std::vector<Scoped> scoped;
};

struct PodState {
  std::string uid;
  std::string name;
  NamespaceState* space = nullptr;
  uint32_t node = NameIndex::kNone;
  int32_t priority = 0;
  bool init_done = false;
  bool has_deadline = false;
  bool is_best_effort = false;
  const std::string* priority_class = nullptr;  // of the index; null: none
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  std::vector<domain::ContainerKind> kinds;
  std::vector<HeldSlice> slices;  // by container
};

// What could fit on one node of one vendor at best, over devices that take anything new. Free
// amounts are those of the best device, the second, the fourth and the eighth best: a request for n
// devices looks at the last of these that is not beyond n.
struct Summary {
  double score = 0;     // node score of contract 1.7, of this vendor's devices
  uint64_t models = 0;  // bit (model % 64) of each
  std::array<int32_t, 4> free_memory_mib{};
  std::array<int16_t, 4> free_cores{};
  std::array<uint8_t, 4> free_pct{};  // of memory, rounded down
  uint16_t devices = 0;               // all; 0: the node has none
  uint16_t open = 0;                  // with a free slot
  uint16_t idle = 0;                  // with no slot taken
  bool mig = false;                   // one device may serve several times
  bool exact = false;                 // Rooms says all of the devices
};
static_assert(sizeof(Summary) <= 64);

// What each device of one vendor on one node has left, for nodes with up to eight: one cache line.
struct alignas(64) Rooms {
  static constexpr size_t kMost = 8;
  std::array<int32_t, kMost> memory_mib{};  // -1: takes nothing new
  // -1: none for anybody; 99 at most where somebody is on a device that could be asked alone.
  std::array<int16_t, kMost> cores{};
  std::array<uint8_t, kMost> pct{};  // of memory, rounded down
};
static_assert(sizeof(Rooms) == 64);

// Which of the four steps stands for n devices.
inline size_t StepOf(int32_t count) { return count >= 8 ? 3 : count >= 4 ? 2 : count >= 2 ? 1 : 0; }

class ClusterIndex {
 public:
  struct Model {
    vendor::Device sample;  // type, mode and vendor only
    uint32_t users = 0;
  };

  ClusterIndex(const vendor::Registry& registry, const Rule* (*find_rule)(const vendor::Spec&));

  void PutNode(const NodeFacts& facts);
  void RemoveNode(std::string_view name);
  void PutPod(const PodFacts& facts);
  void RemovePod(std::string_view uid);
  void PutQuota(const QuotaFacts& quota);
  void RemoveQuota(std::string_view namespace_name, std::string_view name);

  const vendor::Registry& registry() const { return *registry_; }
  const Rule* rule(vendor::VendorId vendor) const { return rules_[vendor]; }

  // Numbers of nodes are below node_limit(); some may be unused.
  uint32_t node_limit() const { return static_cast<uint32_t>(nodes_.size()); }
  const NodeState& node(uint32_t number) const { return *nodes_[number]; }
  // Brings the devices of nodes that come soon after this one close to the processor.
  void Prefetch(uint32_t number) const {
    constexpr uint32_t kAhead = 4;
    if (number + 2 * kAhead < nodes_.size()) __builtin_prefetch(nodes_[number + 2 * kAhead].get());
    if (number + kAhead >= nodes_.size() || nodes_[number + kAhead] == nullptr) return;
    for (const DeviceState& device : nodes_[number + kAhead]->devices) __builtin_prefetch(&device);
  }
  bool IsKnown(uint32_t number) const { return known_[number] != 0; }
  // Another one whenever something of the node changes, of all nodes and times.
  uint64_t version(uint32_t number) const { return versions_[number]; }
  uint32_t FindNode(std::string_view name) const { return names_.Find(name); }
  std::string_view NodeName(uint32_t number) const { return names_.At(number); }
  const NameTable& names() const { return names_; }
  // By node; empty: no node has devices of the vendor.
  const std::vector<Summary>& summaries(vendor::VendorId vendor) const {
    return summaries_[vendor];
  }
  const std::vector<Rooms>& rooms(vendor::VendorId vendor) const { return rooms_[vendor]; }
  const std::vector<Model>& models() const { return models_; }

  const PodState* FindPod(std::string_view uid) const;
  const PodState& pod(uint32_t number) const { return *pods_[number]; }
  const NamespaceState* FindNamespace(std::string_view name) const;
  const std::map<std::string, std::unique_ptr<NamespaceState>, std::less<>>& namespaces() const {
    return namespaces_;
  }
  size_t known_nodes() const { return known_nodes_; }
  size_t pod_count() const { return pod_index_.size(); }

  // What a pod holds of each device of its node. `used` has one entry per device.
  void AddUse(const PodState& pod, const NodeState& node, int sign,
              std::vector<DeviceUse>* used) const;
  // What it holds of one vendor, of all devices together.
  NamespaceState::Held HeldOf(const PodState& pod, vendor::VendorId vendor) const;
  bool IsWithin(const QuotaScope& scope, const PodState& pod) const;
  DeviceUse UseOf(const NodeState& node, const HeldSlice& slice) const;
  domain::Slice SliceOf(const NodeState& node, const HeldSlice& slice) const;
  PodFacts FactsOf(const PodState& pod) const;

 private:
  uint32_t NodeNumber(std::string_view name);  // of one that may be new
  void DropIfUnused(uint32_t number);
  void TakeModels(NodeState* node);
  void DropModels(NodeState* node);
  void Recount(uint32_t number);  // all of a node's use, from its pods
  void Summarise(uint32_t number);
  void SummariseVendor(uint32_t number, const VendorRange& range);
  void CountPod(PodState* pod, int sign);        // in its namespace
  void CountUse(const PodState& pod, int sign);  // on its node
  void CountMig(NodeState* node);
  uint16_t DeviceNumber(NodeState* node, std::string_view id);
  void ReadSlices(const PodFacts& facts, NodeState* node, PodState* pod);
  NamespaceState* SpaceOf(std::string_view name);
  void DropIfUnused(NamespaceState* space);
  void ReadLimits(NamespaceState* space);
  bool ReadLimits(const NamespaceState::Quota& quota,
                  std::vector<NamespaceState::Limit>* limits) const;
  void CountScoped(const PodState& pod, NamespaceState::Scoped* scoped) const;

  const vendor::Registry* registry_;
  std::vector<const Rule*> rules_;  // by vendor
  std::vector<std::unique_ptr<NodeState>> nodes_;
  std::vector<uint8_t> known_;  // by node; 0: only pods have named it, or unused
  NameTable names_;
  size_t known_nodes_ = 0;
  uint64_t changes_ = 0;
  std::vector<uint64_t> versions_;               // by node
  std::vector<std::vector<Summary>> summaries_;  // by vendor, then node
  std::vector<std::vector<Rooms>> rooms_;        // likewise
  std::vector<Model> models_;
  std::vector<std::unique_ptr<PodState>> pods_;
  std::vector<uint32_t> free_pods_;
  NameIndex pod_index_;
  std::set<std::string, std::less<>> priority_classes_;  // that pods have had: a few
  std::map<std::string, std::unique_ptr<NamespaceState>, std::less<>> namespaces_;
};

}  // namespace hami::placement
