// SPDX-License-Identifier: Apache-2.0
//
// Pods and namespaces of the index.

#include <algorithm>
#include <utility>

#include "base/stable_sort.h"
#include "placement/index.h"
#include "placement/mig.h"
#include "placement/usage.h"

namespace hami::placement {

const PodState* ClusterIndex::FindPod(std::string_view uid) const {
  if (uid.empty()) return nullptr;
  const uint32_t number =
      pod_index_.Find(uid, [this](uint32_t pod) -> std::string_view { return pods_[pod]->uid; });
  return number == NameIndex::kNone ? nullptr : pods_[number].get();
}

void ClusterIndex::PutPod(const PodFacts& facts) {
  RemovePod(facts.uid);
  uint32_t number = 0;
  if (free_pods_.empty()) {
    number = static_cast<uint32_t>(pods_.size());
    pods_.emplace_back();
  } else {
    number = free_pods_.back();
    free_pods_.pop_back();
  }
  pods_[number] = std::make_unique<PodState>();
  PodState& pod = *pods_[number];
  pod.uid = facts.uid;
  pod.name = facts.name;
  pod.space = SpaceOf(facts.namespace_name);
  pod.node = NodeNumber(facts.node);
  pod.priority = facts.priority;
  pod.init_done = facts.init_done;
  pod.has_deadline = facts.traits.has_deadline;
  pod.is_best_effort = facts.traits.is_best_effort;
  if (!facts.traits.priority_class.empty()) {
    pod.priority_class = &*priority_classes_.insert(facts.traits.priority_class).first;
  }
  pod.cpu_milli = facts.cpu_milli;
  pod.memory_bytes = facts.memory_bytes;
  pod.kinds = facts.kinds;
  NodeState& node = *nodes_[pod.node];
  ReadSlices(facts, &node, &pod);
  pod_index_.Insert(pod.uid, number);
  ++pod.space->pods;
  node.pods.push_back(number);
  CountPod(&pod, 1);
  CountUse(pod, 1);
}

void ClusterIndex::RemovePod(std::string_view uid) {
  const uint32_t number =
      pod_index_.Find(uid, [this](uint32_t pod) -> std::string_view { return pods_[pod]->uid; });
  if (number == NameIndex::kNone) return;
  PodState& pod = *pods_[number];
  NodeState& node = *nodes_[pod.node];
  CountPod(&pod, -1);
  pod_index_.Erase(pod.uid, number);
  std::erase(node.pods, number);
  CountUse(pod, -1);
  DropIfUnused(pod.node);
  NamespaceState* space = pod.space;
  --space->pods;
  pods_[number].reset();
  free_pods_.push_back(number);
  DropIfUnused(space);
}

void ClusterIndex::ReadSlices(const PodFacts& facts, NodeState* node, PodState* pod) {
  pod->slices.reserve(facts.slices.size());
  for (const domain::Slice& slice : facts.slices) {
    HeldSlice held;
    held.container = slice.container;
    held.device = DeviceNumber(node, slice.device);
    const vendor::Spec* spec = registry_->Find(slice.vendor);
    // The device says it too, and some vendors write a product's name in the word's place.
    held.vendor = held.device < node->devices.size() ? node->devices[held.device].vendor
                  : spec != nullptr ? static_cast<vendor::VendorId>(spec - &registry_->at(0))
                                    : vendor::VendorId{0};
    held.memory_mib = slice.memory_mib;
    held.cores = slice.cores;
    if (slice.mig || !slice.shape.empty()) {
      held.more = std::make_unique<HeldSlice::More>();
      held.more->mig = slice.mig;
      held.more->shape = slice.shape;
    }
    pod->slices.push_back(std::move(held));
  }
  if (!std::ranges::is_sorted(pod->slices, {}, &HeldSlice::container)) {  // hardly ever
    base::StableSortBy(&pod->slices, [](const HeldSlice& slice) { return slice.container; });
  }
}

domain::Slice ClusterIndex::SliceOf(const NodeState& node, const HeldSlice& slice) const {
  domain::Slice out;
  out.container = slice.container;
  out.vendor = registry_->at(slice.vendor).common_word;
  out.device = node.DeviceId(slice.device);
  out.memory_mib = slice.memory_mib;
  out.cores = slice.cores;
  if (slice.more) {
    out.mig = slice.more->mig;
    out.shape = slice.more->shape;
  }
  return out;
}

DeviceUse ClusterIndex::UseOf(const NodeState& node, const HeldSlice& slice) const {
  const Rule* rule = rules_[slice.vendor];
  DeviceUse use{.slots = 1, .memory_mib = slice.memory_mib, .cores = slice.cores};
  if (rule != nullptr && slice.device < node.devices.size()) {
    use = rule->UseOf(node.facts.devices[slice.device], SliceOf(node, slice));
  }
  return WithinReason(use);
}

void ClusterIndex::AddUse(const PodState& pod, const NodeState& node, int sign,
                          std::vector<DeviceUse>* used) const {
  const size_t count = pod.slices.size();
  for (size_t i = 0; i < count; ++i) {
    const uint16_t device = pod.slices[i].device;
    if (device >= node.devices.size()) continue;
    bool seen = false;
    for (size_t k = 0; k < i && !seen; ++k) seen = pod.slices[k].device == device;
    if (seen) continue;
    DevicePeak peak;
    for (size_t k = i; k < count;) {
      // Containers run one after the other, slices of one container together.
      const uint16_t container = pod.slices[k].container;
      DeviceUse sum;
      for (; k < count && pod.slices[k].container == container; ++k) {
        if (pod.slices[k].device != device) continue;
        const DeviceUse one = UseOf(node, pod.slices[k]);
        sum.slots += one.slots;
        sum.memory_mib += one.memory_mib;
        sum.cores += one.cores;
        sum = WithinReason(sum);
      }
      if (sum.slots == 0) continue;
      // Instances are made for the whole life of the pod.
      peak.Add(
          node.devices[device].mig ? domain::ContainerKind::kApp : KindOf(pod.kinds, container),
          sum);
    }
    const DeviceUse held = peak.Held(pod.init_done);
    DeviceUse& into = (*used)[device];
    into.slots += sign * held.slots;
    into.memory_mib += sign * held.memory_mib;
    into.cores += sign * held.cores;
  }
}

NamespaceState::Held ClusterIndex::HeldOf(const PodState& pod, vendor::VendorId vendor) const {
  const NodeState& node = *nodes_[pod.node];
  PhasePeak memory;
  PhasePeak cores;
  for (size_t k = 0; k < pod.slices.size();) {
    const uint16_t container = pod.slices[k].container;
    int64_t memory_sum = 0;
    int64_t cores_sum = 0;
    for (; k < pod.slices.size() && pod.slices[k].container == container; ++k) {
      if (pod.slices[k].vendor != vendor) continue;
      const DeviceUse use = UseOf(node, pod.slices[k]);
      memory_sum += use.memory_mib;
      cores_sum += use.cores;
    }
    memory.Add(KindOf(pod.kinds, container), memory_sum);
    cores.Add(KindOf(pod.kinds, container), cores_sum);
  }
  return {.memory_mib = memory.Held(pod.init_done), .cores = cores.Held(pod.init_done)};
}

void ClusterIndex::CountPod(PodState* pod, int sign) {
  std::vector<NamespaceState::Held>& held = pod->space->held;
  for (size_t i = 0; i < pod->slices.size(); ++i) {
    const vendor::VendorId vendor = pod->slices[i].vendor;
    bool seen = false;
    for (size_t k = 0; k < i && !seen; ++k) seen = pod->slices[k].vendor == vendor;
    if (seen) continue;
    if (held.empty()) held.resize(registry_->size());
    const NamespaceState::Held of_pod = HeldOf(*pod, vendor);
    held[vendor].memory_mib += sign * of_pod.memory_mib;
    held[vendor].cores += sign * of_pod.cores;
    for (NamespaceState::Scoped& scoped : pod->space->scoped) {
      if (!IsWithin(scoped.scope, *pod)) continue;
      scoped.held[vendor].memory_mib += sign * of_pod.memory_mib;
      scoped.held[vendor].cores += sign * of_pod.cores;
    }
  }
}

bool ClusterIndex::IsWithin(const QuotaScope& scope, const PodState& pod) const {
  return Matches(scope, pod.has_deadline, pod.is_best_effort,
                 pod.priority_class == nullptr ? "" : std::string_view(*pod.priority_class));
}

void ClusterIndex::CountScoped(const PodState& pod, NamespaceState::Scoped* scoped) const {
  if (!IsWithin(scoped->scope, pod)) return;
  for (size_t id = 0; id < registry_->size(); ++id) {
    const NamespaceState::Held held = HeldOf(pod, static_cast<vendor::VendorId>(id));
    scoped->held[id].memory_mib += held.memory_mib;
    scoped->held[id].cores += held.cores;
  }
}

void ClusterIndex::CountUse(const PodState& pod, int sign) {
  NodeState& node = *nodes_[pod.node];
  std::vector<DeviceUse> change(node.devices.size());
  AddUse(pod, node, sign, &change);
  for (size_t i = 0; i < change.size(); ++i) {
    DeviceUse& used = node.devices[i].used;
    used.slots += change[i].slots;
    used.memory_mib += change[i].memory_mib;
    used.cores += change[i].cores;
  }
  node.cpu_used_milli += sign * pod.cpu_milli;
  node.memory_used_bytes += sign * pod.memory_bytes;
  for (const HeldSlice& slice : pod.slices) {
    if (slice.more && slice.more->mig) node.instances += static_cast<uint32_t>(sign);
  }
  CountMig(&node);
  Summarise(pod.node);
}

void ClusterIndex::CountMig(NodeState* node) {
  if (!node->has_mig && node->instances == 0 && !node->had_instances) return;
  node->had_instances = node->instances > 0;
  for (DeviceState& device : node->devices) {
    device.mig_taken = 0;
    device.fault = false;
    device.overlap = false;
  }
  for (const uint32_t number : node->pods) {
    for (const HeldSlice& slice : pods_[number]->slices) {
      const bool placed = slice.more && slice.more->mig;
      if (slice.device >= node->devices.size()) {
        // An instance of a GPU that is not there: which one it is cannot be known.
        for (DeviceState& device : node->devices) {
          if (placed && device.mig && device.vendor == slice.vendor) device.fault = true;
        }
        continue;
      }
      DeviceState& device = node->devices[slice.device];
      if (placed != device.mig) {
        device.fault = true;
      } else if (placed) {
        const uint64_t bits = MigBits(slice.more->mig->start, slice.more->mig->size);
        device.overlap = device.overlap || (device.mig_taken & bits) != 0;
        device.mig_taken |= bits;
      }
    }
  }
}

NamespaceState* ClusterIndex::SpaceOf(std::string_view name) {
  const auto found = namespaces_.find(name);
  if (found != namespaces_.end()) return found->second.get();
  auto space = std::make_unique<NamespaceState>();
  space->name = name;
  return namespaces_.emplace(std::string(name), std::move(space)).first->second.get();
}

const NamespaceState* ClusterIndex::FindNamespace(std::string_view name) const {
  const auto found = namespaces_.find(name);
  return found == namespaces_.end() ? nullptr : found->second.get();
}

void ClusterIndex::DropIfUnused(NamespaceState* space) {
  if (space->pods > 0 || !space->quotas.empty()) return;
  namespaces_.erase(namespaces_.find(space->name));
}

PodFacts ClusterIndex::FactsOf(const PodState& pod) const {
  PodFacts facts;
  facts.uid = pod.uid;
  facts.namespace_name = pod.space->name;
  facts.name = pod.name;
  facts.node = names_.At(pod.node);
  facts.kinds = pod.kinds;
  facts.init_done = pod.init_done;
  facts.priority = pod.priority;
  facts.traits.has_deadline = pod.has_deadline;
  facts.traits.is_best_effort = pod.is_best_effort;
  if (pod.priority_class != nullptr) facts.traits.priority_class = *pod.priority_class;
  facts.cpu_milli = pod.cpu_milli;
  facts.memory_bytes = pod.memory_bytes;
  for (const HeldSlice& slice : pod.slices) {
    facts.slices.push_back(SliceOf(*nodes_[pod.node], slice));
  }
  return facts;
}

}  // namespace hami::placement
