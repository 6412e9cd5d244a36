// SPDX-License-Identifier: Apache-2.0

#include "simulate/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace hami::simulate {
namespace {

// The most frequent shapes of the scenario's pods that together are 95 % of them.
std::vector<placement::TypicalPod> MixOf(const vendor::Registry& registry,
                                         const Scenario& scenario) {
  std::map<placement::PodShape, double> counts;
  for (const WantedPod& wanted : scenario.pods) {
    const auto request = placement::MakeRequest(registry, wanted.pod, {});
    if (request) counts[placement::ShapeOf(*request)] += 1;
  }
  std::vector<placement::TypicalPod> shapes;
  shapes.reserve(counts.size());
  for (const auto& [shape, count] : counts) shapes.push_back({shape, count});
  return placement::TypicalOf(std::move(shapes));
}

}  // namespace

double Meter::Device::Share() const {
  const double memory =
      memory_mib > 0 ? static_cast<double>(memory_used_mib) / static_cast<double>(memory_mib) : 0;
  const double core = cores > 0 ? static_cast<double>(cores_used) / static_cast<double>(cores) : 0;
  return std::max(memory, core);
}

Meter::Meter(const vendor::Registry& registry, const Scenario& scenario)
    : scenario_(scenario), mix_(MixOf(registry, scenario)) {
  std::vector<std::map<int32_t, size_t>> memories(registry.size());
  for (const placement::NodeFacts& facts : scenario.nodes) {
    by_name_.emplace(facts.name, static_cast<uint32_t>(nodes_.size()));
    Node node{.cpu_free_milli = facts.cpu_milli, .memory_free_bytes = facts.memory_bytes};
    for (const vendor::Device& device : facts.devices) {
      Device counted{.type = TypeNumber(registry, device),
                     .memory_mib = device.memory_mib,
                     .cores = device.cores,
                     .usable = device.healthy && !device.cordoned};
      node.by_id.emplace(device.id, static_cast<uint32_t>(node.devices.size()));
      node.devices.push_back(counted);
      ++memories[device.vendor][device.memory_mib];
      TypeUse& type = types_[counted.type];
      ++type.devices;
      type.memory_mib += device.memory_mib;
      type.cores += device.cores;
    }
    nodes_.push_back(std::move(node));
  }
  for (const auto& counts : memories) {
    const auto most =
        std::ranges::max_element(counts, {}, [](const auto& it) { return it.second; });
    usual_memory_mib_.push_back(most == counts.end() ? 0 : most->first);
  }
  devices_ = DeviceCountOf(scenario);
}

uint32_t Meter::TypeNumber(const vendor::Registry& registry, const vendor::Device& device) {
  const std::string& vendor = registry.at(device.vendor).common_word;
  const auto at = std::ranges::find_if(types_, [&](const TypeUse& type) {
    return type.vendor == vendor && type.type == device.type;
  });
  const auto number = static_cast<uint32_t>(at - types_.begin());
  if (at == types_.end()) types_.push_back({.vendor = vendor, .type = device.type});
  return number;
}

void Meter::Add(const placement::PodFacts& pod, int sign) {
  const auto at = by_name_.find(pod.node);
  if (at == by_name_.end()) return;
  Node& node = nodes_[at->second];
  node.cpu_free_milli -= sign * pod.cpu_milli;
  node.memory_free_bytes -= sign * pod.memory_bytes;
  for (const domain::Slice& slice : pod.slices) {
    const bool ended = slice.container < pod.kinds.size() &&
                       pod.kinds[slice.container] == domain::ContainerKind::kInit && pod.init_done;
    const auto found = node.by_id.find(slice.device);
    if (ended || found == node.by_id.end()) continue;
    Device& device = node.devices[found->second];
    allocated_ -= device.Share();
    device.memory_used_mib += sign * slice.memory_mib;
    device.cores_used += sign * slice.cores;
    allocated_ += device.Share();
    types_[device.type].memory_used_mib += sign * slice.memory_mib;
    types_[device.type].cores_used += sign * slice.cores;
  }
}

std::string_view Meter::EmptiestWithRoom(const placement::Request& request) const {
  std::string_view best;
  double best_left = -1;
  const auto share = [](int64_t free, int64_t all) {
    return all > 0 ? static_cast<double>(free) / static_cast<double>(all) : 0.0;
  };
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (node.cpu_free_milli < request.cpu_milli) continue;
    if (node.memory_free_bytes < request.memory_bytes) continue;
    const placement::NodeFacts& facts = scenario_.nodes[i];
    const double left = share(node.cpu_free_milli - request.cpu_milli, facts.cpu_milli) +
                        share(node.memory_free_bytes - request.memory_bytes, facts.memory_bytes);
    if (left <= best_left) continue;
    best_left = left;
    best = facts.name;
  }
  return best;
}

double Meter::Asked(const placement::Request& request) const {
  double sum = 0;
  for (const placement::DeviceAsk& ask : placement::ShapeOf(request).asks) {
    const int32_t memory = placement::MemoryShare(ask, usual_memory_mib_[ask.vendor]);
    const int32_t share = std::max(std::min(memory, placement::kWholeDevice),
                                   ask.cores_pct * (placement::kWholeDevice / 100));
    sum += static_cast<double>(ask.count) * share / placement::kWholeDevice;
  }
  return sum;
}

placement::NodeRoom Meter::RoomOf(const Node& node, const placement::NodeFacts& facts) const {
  placement::NodeRoom room{.cpu_milli = node.cpu_free_milli, .devices = {}};
  for (size_t i = 0; i < node.devices.size(); ++i) {
    const Device& device = node.devices[i];
    if (!device.usable) continue;
    room.devices.push_back(placement::RoomOf(
        facts.devices[i], {.slots = device.memory_used_mib > 0 || device.cores_used > 0 ? 1 : 0,
                           .memory_mib = static_cast<int32_t>(device.memory_used_mib),
                           .cores = static_cast<int32_t>(device.cores_used)}));
  }
  return room;
}

double Meter::Fragments() const {
  double sum = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    sum += placement::StaticLoss(mix_, RoomOf(nodes_[i], scenario_.nodes[i]));
  }
  return sum;
}

void Meter::Report(Outcome* outcome) const {
  outcome->nodes = nodes_.size();
  outcome->devices = devices_;
  outcome->types = types_;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const placement::NodeFacts& facts = scenario_.nodes[i];
    outcome->cpu_milli += facts.cpu_milli;
    outcome->cpu_used_milli += facts.cpu_milli - nodes_[i].cpu_free_milli;
    outcome->memory_bytes += facts.memory_bytes;
    outcome->memory_used_bytes += facts.memory_bytes - nodes_[i].memory_free_bytes;
    for (const Device& device : nodes_[i].devices) {
      outcome->types[device.type].allocated += device.Share();
    }
  }
}

std::string ReasonText(const placement::Decision& decision) {
  // Of "2/8 CardInsufficientMemory, 6/8 CardTypeMismatch" the words.
  std::map<std::string, size_t> reasons;
  for (const placement::Misfit& misfit : decision.misfits) {
    std::string_view text = misfit.text;
    std::string words;
    while (!text.empty()) {
      const size_t comma = std::min(text.find(", "), text.size());
      std::string_view part = text.substr(0, comma);
      text.remove_prefix(std::min(comma + 2, text.size()));
      const size_t slash = part.find('/');
      const size_t space = slash == std::string_view::npos ? slash : part.find(' ', slash);
      if (space != std::string_view::npos) part.remove_prefix(space + 1);
      words += (words.empty() ? "" : "+") + std::string(part);
    }
    ++reasons[words];
  }
  std::vector<std::string> parts;
  parts.reserve(reasons.size());
  for (const auto& [words, count] : reasons) parts.push_back(fmt::format("{} {}", count, words));
  return fmt::format("0/{} nodes fit: {}", decision.misfits.size(), fmt::join(parts, ", "));
}

std::vector<double> AskedDevices(const vendor::Registry& registry, const Scenario& scenario) {
  const Meter meter(registry, scenario);
  std::vector<double> asked;
  asked.reserve(scenario.pods.size());
  for (const WantedPod& wanted : scenario.pods) {
    const auto request = placement::MakeRequest(registry, wanted.pod, {});
    asked.push_back(request ? meter.Asked(*request) : 0);
  }
  return asked;
}

double DeviceCountOf(const Scenario& scenario) {
  double count = 0;
  for (const placement::NodeFacts& node : scenario.nodes) {
    for (const vendor::Device& device : node.devices) {
      count += device.healthy && !device.cordoned ? 1 : 0;
    }
  }
  return count;
}

Latency LatencyOf(std::vector<double> times_us) {
  Latency latency{.decisions = times_us.size()};
  if (times_us.empty()) return latency;
  std::ranges::sort(times_us);
  const auto at = [&](double share) {
    return times_us[static_cast<size_t>(share * static_cast<double>(times_us.size() - 1))];
  };
  latency.mean_us =
      std::accumulate(times_us.begin(), times_us.end(), 0.0) / static_cast<double>(times_us.size());
  latency.p50_us = at(0.5);
  latency.p99_us = at(0.99);
  latency.max_us = times_us.back();
  return latency;
}

}  // namespace hami::simulate
