// SPDX-License-Identifier: Apache-2.0

#include "placement/index.h"

#include <algorithm>
#include <utility>

#include "base/stable_sort.h"
#include "placement/mig.h"
#include "placement/usage.h"

namespace hami::placement {

const VendorRange* NodeState::RangeOf(vendor::VendorId vendor) const {
  for (const VendorRange& range : ranges) {
    if (range.vendor == vendor) return &range;
  }
  return nullptr;
}

std::string_view NodeState::DeviceId(uint16_t device) const {
  if (device < facts.devices.size()) return facts.devices[device].id;
  return strangers[device - facts.devices.size()];
}

ClusterIndex::ClusterIndex(const vendor::Registry& registry,
                           const Rule* (*find_rule)(const vendor::Spec&))
    : registry_(&registry), summaries_(registry.size()), rooms_(registry.size()) {
  for (size_t id = 0; id < registry.size(); ++id) {
    rules_.push_back(find_rule(registry.at(static_cast<vendor::VendorId>(id))));
  }
}

uint32_t ClusterIndex::NodeNumber(std::string_view name) {
  uint32_t number = names_.Find(name);
  if (number != NameTable::kNone) return number;
  number = names_.Add(name);
  if (number == nodes_.size()) {
    nodes_.emplace_back();
    known_.push_back(0);
    versions_.push_back(0);
    for (std::vector<Summary>& summaries : summaries_) {
      if (!summaries.empty()) summaries.emplace_back();
    }
    for (std::vector<Rooms>& rooms : rooms_) {
      if (!rooms.empty()) rooms.emplace_back();
    }
  }
  nodes_[number] = std::make_unique<NodeState>();
  return number;
}

void ClusterIndex::DropIfUnused(uint32_t number) {
  if (known_[number] != 0 || !nodes_[number]->pods.empty()) return;
  names_.Remove(number);
  nodes_[number].reset();
}

void ClusterIndex::PutNode(const NodeFacts& facts) {
  const uint32_t number = NodeNumber(facts.name);
  NodeState& node = *nodes_[number];
  if (known_[number] == 0) ++known_nodes_;
  known_[number] = 1;
  // Slices name devices by their place, so their names are read before and found after.
  std::vector<std::vector<std::string>> ids;
  for (const uint32_t pod : node.pods) {
    std::vector<std::string>& of_pod = ids.emplace_back();
    for (const HeldSlice& slice : pods_[pod]->slices) {
      of_pod.emplace_back(node.DeviceId(slice.device));
    }
    CountPod(pods_[pod].get(), -1);
  }
  DropModels(&node);
  node.facts = facts;
  node.strangers.clear();
  base::StableSortBy(&node.facts.devices, [](const vendor::Device& device) {
    return std::pair(device.vendor, device.index);
  });
  TakeModels(&node);
  for (size_t i = 0; i < node.pods.size(); ++i) {
    PodState& pod = *pods_[node.pods[i]];
    for (size_t k = 0; k < pod.slices.size(); ++k) {
      HeldSlice& slice = pod.slices[k];
      slice.device = DeviceNumber(&node, ids[i][k]);
      if (slice.device < node.devices.size()) slice.vendor = node.devices[slice.device].vendor;
    }
    CountPod(&pod, 1);
  }
  Recount(number);
}

void ClusterIndex::RemoveNode(std::string_view name) {
  const uint32_t number = FindNode(name);
  if (number == NameIndex::kNone || known_[number] == 0) return;
  NodeFacts empty;
  empty.name = name;
  PutNode(empty);  // pods keep what they hold, of strangers
  known_[number] = 0;
  --known_nodes_;
  DropIfUnused(number);
}

void ClusterIndex::TakeModels(NodeState* node) {
  node->devices.clear();
  node->ranges.clear();
  node->has_mig = false;
  for (const vendor::Device& device : node->facts.devices) {
    size_t model = 0;
    size_t unused = SIZE_MAX;
    for (; model < models_.size(); ++model) {
      const Model& known = models_[model];
      if (known.users == 0) {
        unused = std::min(unused, model);
      } else if (known.sample.vendor == device.vendor && known.sample.type == device.type &&
                 known.sample.mode == device.mode) {
        break;
      }
    }
    if (model == models_.size()) {
      if (unused != SIZE_MAX) {
        model = unused;
      } else {
        models_.emplace_back();
      }
      models_[model].sample = {};
      models_[model].sample.vendor = device.vendor;
      models_[model].sample.type = device.type;
      models_[model].sample.mode = device.mode;
    }
    ++models_[model].users;
    DeviceState state;
    state.total = {.slots = device.slots, .memory_mib = device.memory_mib, .cores = device.cores};
    state.id_hash = HashName(device.id);
    state.index = device.index;
    state.numa = static_cast<int16_t>(device.numa);
    state.vendor = device.vendor;
    state.model = static_cast<uint16_t>(model);
    state.healthy = device.healthy;
    state.cordoned = device.cordoned;
    state.mig = IsMig(device);
    node->has_mig = node->has_mig || state.mig;
    const auto place = static_cast<uint16_t>(node->devices.size());
    if (node->ranges.empty() || node->ranges.back().vendor != device.vendor) {
      node->ranges.push_back({.vendor = device.vendor, .begin = place, .end = place});
    }
    ++node->ranges.back().end;
    node->devices.push_back(state);
  }
}

void ClusterIndex::DropModels(NodeState* node) {
  for (const DeviceState& device : node->devices) --models_[device.model].users;
}

uint16_t ClusterIndex::DeviceNumber(NodeState* node, std::string_view id) {
  const std::vector<vendor::Device>& devices = node->facts.devices;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].id == id) return static_cast<uint16_t>(i);
  }
  for (size_t i = 0; i < node->strangers.size(); ++i) {
    if (node->strangers[i] == id) return static_cast<uint16_t>(devices.size() + i);
  }
  // Annotations may name anything: what is beyond all measure shares the last number.
  if (devices.size() + node->strangers.size() >= UINT16_MAX) {
    return static_cast<uint16_t>(devices.size() + node->strangers.size() - 1);
  }
  node->strangers.emplace_back(id);
  return static_cast<uint16_t>(devices.size() + node->strangers.size() - 1);
}

void ClusterIndex::Recount(uint32_t number) {
  NodeState& node = *nodes_[number];
  std::vector<DeviceUse> used(node.devices.size());
  node.cpu_used_milli = 0;
  node.memory_used_bytes = 0;
  node.instances = 0;
  for (const uint32_t pod : node.pods) {
    AddUse(*pods_[pod], node, 1, &used);
    node.cpu_used_milli += pods_[pod]->cpu_milli;
    node.memory_used_bytes += pods_[pod]->memory_bytes;
    for (const HeldSlice& slice : pods_[pod]->slices) {
      if (slice.more && slice.more->mig) ++node.instances;
    }
  }
  for (size_t i = 0; i < used.size(); ++i) node.devices[i].used = used[i];
  CountMig(&node);
  Summarise(number);
}

}  // namespace hami::placement
