// SPDX-License-Identifier: Apache-2.0

#include "explain/placing.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "placement/request.h"

namespace hami::explain {
namespace {

constexpr size_t kMostNodes = 5;

std::vector<std::string> AskedTexts(const vendor::Registry& registry, const domain::Pod& pod,
                                    const placement::Request& request) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < request.containers.size(); ++i) {
    for (const vendor::Request& ask : request.containers[i].requests) {
      const vendor::Spec& spec = registry.at(ask.vendor);
      if (spec.core_unit == vendor::CoreUnit::kUnits && ask.cores > 0) {
        texts.push_back(fmt::format("{}: {} {} of {}", pod.containers[i].name, ask.cores,
                                    ask.cores == 1 ? "core" : "cores", spec.common_word));
        continue;
      }
      const std::string memory = ask.memory_mib > 0 ? fmt::format("{} MiB", ask.memory_mib)
                                                    : fmt::format("{} % of memory", ask.memory_pct);
      texts.push_back(fmt::format(
          "{}: {} {}, {}{}{}", pod.containers[i].name, ask.count, spec.common_word,
          ask.count > 1 ? "each with " : "with ", memory,
          ask.cores > 0 ? fmt::format(" and {} % of cores", ask.cores) : std::string()));
    }
  }
  return texts;
}

bool HasVendors(const placement::Request& request, const std::vector<placement::NodeFacts>& nodes) {
  const auto is_there = [&nodes](const vendor::Request& ask) {
    return std::ranges::any_of(nodes, [&ask](const placement::NodeFacts& node) {
      return std::ranges::any_of(node.devices, [&ask](const vendor::Device& device) {
        return device.vendor == ask.vendor;
      });
    });
  };
  return std::ranges::all_of(request.containers, [&](const placement::ContainerAsk& container) {
    return std::ranges::all_of(container.requests, is_there);
  });
}

// The nearest of all, then the nearest of the rest, and so on.
void FindMisses(const placement::Cluster& cluster, const placement::Request& request,
                std::vector<std::string_view> names, Placing* placing) {
  while (!names.empty() && placing->misses.size() < kMostNodes) {
    const placement::Decision decision = cluster.Place(request, names);
    if (!decision.nearest) break;
    NodeMiss miss{.node = decision.nearest->node, .cards = decision.nearest->text, .reasons = {}};
    // The node stands before its cards.
    const std::string prefix = miss.node + ": ";
    if (miss.cards.starts_with(prefix)) miss.cards.erase(0, prefix.size());
    for (const placement::Misfit& misfit : decision.misfits) {
      if (misfit.node == miss.node) miss.reasons = misfit.text;
    }
    std::erase(names, decision.nearest->node);
    placing->misses.push_back(std::move(miss));
  }
  placing->more = names.size();
}

}  // namespace

Placing ExplainPlacing(const vendor::Registry& registry, const PlacingFacts& facts) {
  Placing placing;
  placing.gaps = facts.gaps;
  for (const std::string& note : facts.notes) {
    placing.gaps.push_back({.what = "devices and allocations", .why = note});
  }
  const Result<placement::Request> made = placement::MakeRequest(registry, facts.pod, {});
  if (!made) {
    placing.verdict = PlacingVerdict::kRefused;
    placing.fault = made.error().message;
    return placing;
  }
  placement::Request request = *made;
  if (!request.WantsDevices()) return placing;
  placing.asked = AskedTexts(registry, facts.pod, request);
  if (!facts.pod.node_name.empty()) {
    placing.verdict = PlacingVerdict::kPlaced;
    placing.node = facts.pod.node_name;
    return placing;
  }
  if (!facts.nodes_known) {
    placing.verdict = PlacingVerdict::kUnreadable;
    return placing;
  }
  if (!HasVendors(request, facts.nodes)) {
    placing.verdict = PlacingVerdict::kNoDevice;
    return placing;
  }
  placement::Cluster cluster(registry);
  std::vector<std::string_view> names;
  for (const placement::NodeFacts& node : facts.nodes) {
    cluster.PutNode(node);
    names.push_back(node.name);
  }
  for (const placement::PodFacts& pod : facts.running) cluster.PutPod(pod);
  request.check_native = true;
  const placement::Decision decision = cluster.Place(request, names);
  if (decision.allocation) {
    placing.verdict = PlacingVerdict::kFits;
    placing.node = decision.allocation->node;
    return placing;
  }
  placing.verdict = PlacingVerdict::kNoRoom;
  FindMisses(cluster, request, std::move(names), &placing);
  return placing;
}

std::string PlacingVerdictName(PlacingVerdict verdict) {
  switch (verdict) {
    case PlacingVerdict::kNoDevices:
      return "no-devices";
    case PlacingVerdict::kPlaced:
      return "placed";
    case PlacingVerdict::kRefused:
      return "refused";
    case PlacingVerdict::kUnreadable:
      return "unreadable";
    case PlacingVerdict::kNoDevice:
      return "not-announced";
    case PlacingVerdict::kFits:
      return "fits";
    case PlacingVerdict::kNoRoom:
      return "no-room";
  }
  return "";
}

std::string PlacingHeadline(const std::string& pod, const Placing& placing) {
  switch (placing.verdict) {
    case PlacingVerdict::kNoDevices:
      return fmt::format("Pod {} asks for no devices.", pod);
    case PlacingVerdict::kPlaced:
      return fmt::format("Pod {} asks for devices and is on node {}.", pod, placing.node);
    case PlacingVerdict::kRefused:
      return fmt::format("What pod {} asks for cannot be read: {}.", pod, placing.fault);
    case PlacingVerdict::kUnreadable:
      return fmt::format("Pod {} asks for devices; which there are cannot be read.", pod);
    case PlacingVerdict::kNoDevice:
      return fmt::format("Pod {} asks for devices that no node announces.", pod);
    case PlacingVerdict::kFits:
      return fmt::format("Pod {} asks for devices, and node {} has room for them now.", pod,
                         placing.node);
    case PlacingVerdict::kNoRoom:
      return fmt::format("Pod {} asks for devices, and no node has room for them.", pod);
  }
  return "";
}

}  // namespace hami::explain
