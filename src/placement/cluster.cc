// SPDX-License-Identifier: Apache-2.0

#include "placement/cluster.h"

#include <fmt/format.h>

#include "placement/choose.h"
#include "placement/index.h"
#include "placement/rules/rule.h"

namespace hami::placement {

class Cluster::Impl {
 public:
  Impl(const vendor::Registry& registry, const Rule* (*find_rule)(const vendor::Spec&))
      : index(registry, find_rule) {}

  ClusterIndex index;
  FragmentSearch fragments;
  MisfitMemory misfits;
};

Cluster::Cluster(const vendor::Registry& registry) : Cluster(registry, RuleOf) {}
Cluster::Cluster(const vendor::Registry& registry, const Rule* (*find_rule)(const vendor::Spec&))
    : impl_(std::make_unique<Impl>(registry, find_rule)) {}
Cluster::~Cluster() = default;
Cluster::Cluster(Cluster&&) noexcept = default;
Cluster& Cluster::operator=(Cluster&&) noexcept = default;

void Cluster::PutNode(const NodeFacts& node) { impl_->index.PutNode(node); }
void Cluster::RemoveNode(std::string_view name) { impl_->index.RemoveNode(name); }
void Cluster::PutPod(const PodFacts& pod) {
  impl_->index.PutPod(pod);
  impl_->fragments.Observe(pod.uid, ShapeOf(impl_->index.registry(), pod, FindNode(pod.node)));
  if (!pod.slices.empty()) impl_->fragments.ObserveUse(impl_->index.FindNode(pod.node));
}
void Cluster::RemovePod(std::string_view uid) {
  if (impl_->index.FindPod(uid) != nullptr) impl_->fragments.ObserveDeparture();
  impl_->index.RemovePod(uid);
}
void Cluster::PutQuota(const QuotaFacts& quota) { impl_->index.PutQuota(quota); }
void Cluster::RemoveQuota(std::string_view namespace_name, std::string_view name) {
  impl_->index.RemoveQuota(namespace_name, name);
}

Decision Cluster::Place(const Request& request, std::span<const std::string_view> nodes) const {
  impl_->fragments.Observe(request.pod_uid, ShapeOf(request));
  return ChooseNode(impl_->index, request, nodes, &impl_->fragments, &impl_->misfits);
}

Decision Cluster::PlaceOn(const Request& request, std::string_view node) const {
  return ChooseNode(impl_->index, request, std::span(&node, 1), &impl_->fragments, &impl_->misfits);
}

std::vector<NodeScore> Cluster::Fitting(const Request& request,
                                        std::span<const std::string_view> nodes,
                                        std::vector<Misfit>* misfits) const {
  return FittingNodes(impl_->index, request, nodes, &impl_->fragments, &impl_->misfits, misfits);
}

size_t Cluster::node_count() const { return impl_->index.known_nodes(); }
size_t Cluster::pod_count() const { return impl_->index.pod_count(); }

bool Cluster::HasNode(std::string_view name) const { return FindNode(name) != nullptr; }

std::vector<std::string> Cluster::NodeNames() const {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < impl_->index.node_limit(); ++i) {
    if (impl_->index.IsKnown(i)) names.emplace_back(impl_->index.NodeName(i));
  }
  return names;
}

const NodeFacts* Cluster::FindNode(std::string_view name) const {
  const uint32_t number = impl_->index.FindNode(name);
  if (number == NameIndex::kNone || !impl_->index.IsKnown(number)) return nullptr;
  return &impl_->index.node(number).facts;
}

std::vector<DeviceUse> Cluster::UseOf(std::string_view node) const {
  std::vector<DeviceUse> use;
  const uint32_t number = impl_->index.FindNode(node);
  if (number == NameIndex::kNone) return use;
  for (const DeviceState& device : impl_->index.node(number).devices) use.push_back(device.used);
  return use;
}

DeviceUse Cluster::UseOf(std::string_view node, const domain::Slice& slice) const {
  const ClusterIndex& index = impl_->index;
  if (const NodeFacts* facts = FindNode(node)) {
    for (const vendor::Device& device : facts->devices) {
      if (device.id != slice.device ||
          index.registry().at(device.vendor).common_word != slice.vendor)
        continue;
      if (const Rule* rule = index.rule(device.vendor)) return rule->UseOf(device, slice);
    }
  }
  return {.slots = 1, .memory_mib = slice.memory_mib, .cores = slice.cores};
}

std::vector<PodFacts> Cluster::PodsOn(std::string_view node) const {
  std::vector<PodFacts> pods;
  const uint32_t number = impl_->index.FindNode(node);
  if (number == NameIndex::kNone) return pods;
  for (const uint32_t pod : impl_->index.node(number).pods) {
    pods.push_back(impl_->index.FactsOf(impl_->index.pod(pod)));
  }
  return pods;
}

std::optional<PodFacts> Cluster::FindPod(std::string_view uid) const {
  const PodState* pod = impl_->index.FindPod(uid);
  if (pod == nullptr) return std::nullopt;
  return impl_->index.FactsOf(*pod);
}

std::vector<QuotaUse> Cluster::QuotaUses() const {
  std::vector<QuotaUse> uses;
  const ClusterIndex& index = impl_->index;
  for (const auto& [name, space] : index.namespaces()) {
    for (size_t id = 0; id < index.registry().size(); ++id) {
      QuotaUse use;
      use.namespace_name = name;
      use.vendor = static_cast<vendor::VendorId>(id);
      if (!space->held.empty()) {
        use.memory_mib = space->held[id].memory_mib;
        use.cores = space->held[id].cores;
      }
      if (!space->limits.empty()) {
        use.memory_limit_mib = space->limits[id].memory_mib;
        use.cores_limit = space->limits[id].cores;
      }
      if (use.memory_mib != 0 || use.cores != 0 || use.memory_limit_mib || use.cores_limit) {
        uses.push_back(std::move(use));
      }
    }
  }
  return uses;
}

std::vector<std::string> Cluster::Overcommitted() const {
  std::vector<std::string> found;
  for (uint32_t i = 0; i < impl_->index.node_limit(); ++i) {
    if (!impl_->index.IsKnown(i)) continue;
    const NodeState& node = impl_->index.node(i);
    for (size_t k = 0; k < node.devices.size(); ++k) {
      const DeviceState& device = node.devices[k];
      const DeviceUse& used = device.used;
      const DeviceUse& total = device.total;
      // Instances hold places; their cores are rounded up.
      const bool over = device.mig
                            ? device.overlap || used.slots > total.slots
                            : used.slots > total.slots || used.memory_mib > total.memory_mib ||
                                  used.cores > total.cores;
      if (!over) continue;
      found.push_back(fmt::format("{} {}: slots {} of {}, memory {} of {} MiB, cores {} of {}{}",
                                  node.facts.name, node.facts.devices[k].id, used.slots,
                                  total.slots, used.memory_mib, total.memory_mib, used.cores,
                                  total.cores, device.overlap ? ", instances overlap" : ""));
    }
  }
  return found;
}

}  // namespace hami::placement
