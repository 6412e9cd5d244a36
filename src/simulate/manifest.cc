// SPDX-License-Identifier: Apache-2.0

#include "simulate/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "domain/quantity.h"
#include "placement/quota.h"
#include "placement/request.h"

namespace hami::simulate {
namespace {

constexpr int64_t kMostReplicas = 1'000'000;

int64_t Amount(const domain::ResourceTexts& amounts, const std::string& name, bool milli) {
  const auto at = amounts.find(name);
  if (at == amounts.end()) return 0;
  return (milli ? domain::ParseMilliQuantity(at->second) : domain::ParseQuantity(at->second))
      .value_or(0);
}

// Where the number of pods stands in what makes them; empty: it makes none that can be counted.
std::string_view CountOf(std::string_view kind) {
  if (kind == "Job") return "parallelism";
  const bool replicated = kind == "Deployment" || kind == "ReplicaSet" || kind == "StatefulSet" ||
                          kind == "ReplicationController";
  return replicated ? "replicas" : "";
}

Status AddTemplate(const std::string& source, std::string_view kind, const json::Value& object,
                   Scenario* scenario) {
  const int64_t count = object["spec"][CountOf(kind)].Int(1);
  if (count < 0 || count > kMostReplicas) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: {} {} of a {} is no number from 0 to {}", source, count,
                            CountOf(kind), kind, kMostReplicas));
  }
  Result<domain::Pod> pod = domain::ReadPod(object["spec"]["template"]);
  if (!pod) {
    return Fail(std::move(pod).error().Wrap(fmt::format("{}: template of the {}", source, kind)));
  }
  const std::string_view name = object["metadata"]["name"].Text("unnamed");
  pod->namespace_name = object["metadata"]["namespace"].Text("default");
  for (int64_t i = 0; i < count; ++i) {
    WantedPod wanted{.pod = *pod, .source = source};
    wanted.pod.name = fmt::format("{}-{}", name, i);
    scenario->pods.push_back(std::move(wanted));
  }
  return {};
}

}  // namespace

placement::NodeFacts FactsOf(const vendor::Registry& registry, const domain::Node& node,
                             std::vector<std::string>* notes) {
  placement::NodeFacts facts;
  facts.name = node.name;
  facts.labels = node.labels;
  facts.annotations = node.annotations;
  facts.cpu_milli = Amount(node.allocatable, "cpu", true);
  facts.memory_bytes = Amount(node.allocatable, "memory", false);
  std::vector<std::string> problems;
  facts.devices = registry.DevicesOf(node, &problems);
  for (const std::string& problem : problems) {
    notes->push_back(fmt::format("node {}: {}", node.name, problem));
  }
  if (node.unschedulable) {
    for (vendor::Device& device : facts.devices) device.cordoned = true;
    notes->push_back(fmt::format("node {}: is cordoned, gets nothing new", node.name));
  }
  return facts;
}

placement::PodFacts FactsOf(const vendor::Registry& registry, const domain::Pod& pod,
                            std::vector<std::string>* notes) {
  placement::PodFacts facts;
  facts.uid = pod.uid.empty() ? pod.Text() : pod.uid;
  facts.namespace_name = pod.namespace_name;
  facts.name = pod.name;
  facts.node = pod.node_name;
  facts.init_done = pod.init_done;
  facts.priority = pod.priority;
  facts.traits = placement::TraitsOf(pod);
  for (const domain::PodContainer& container : pod.containers) {
    facts.kinds.push_back(container.kind);
  }
  if (const auto request = placement::MakeRequest(registry, pod, {}); request) {
    facts.cpu_milli = request->cpu_milli;
    facts.memory_bytes = request->memory_bytes;
  }
  Result<domain::Allocation> held = registry.ReadAllocation(pod);
  if (held) {
    facts.slices = std::move(held->slices);
  } else {
    notes->push_back(
        fmt::format("pod {}: what it holds cannot be read: {}", pod.Text(), held.error().message));
  }
  return facts;
}

Status AddObject(const vendor::Registry& registry, const std::string& source,
                 const json::Value& object, Scenario* scenario) {
  if (object.kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: is no object of Kubernetes", source));
  }
  const std::string_view kind = object["kind"].Text();
  if (kind.empty()) return Fail(Code::kInvalidArgument, fmt::format("{}: has no kind", source));
  return AddObject(registry, source, kind, object, scenario);
}

Status AddObject(const vendor::Registry& registry, const std::string& source, std::string_view kind,
                 const json::Value& object, Scenario* scenario) {
  if (kind == "Node") {
    const Result<domain::Node> node = domain::ReadNode(object);
    if (!node) return Fail(Error(node.error()).Wrap(source));
    const bool is_known = std::ranges::any_of(
        scenario->nodes, [&](const placement::NodeFacts& it) { return it.name == node->name; });
    if (is_known) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{}: a second node \"{}\"", source, node->name));
    }
    scenario->nodes.push_back(FactsOf(registry, *node, &scenario->notes));
    return {};
  }
  if (kind == "Pod") {
    Result<domain::Pod> pod = domain::ReadPod(object);
    if (!pod) return Fail(std::move(pod).error().Wrap(source));
    if (pod->namespace_name.empty()) pod->namespace_name = "default";
    if (pod->IsOver()) return {};
    if (!pod->node_name.empty()) {
      scenario->running.push_back(FactsOf(registry, *pod, &scenario->notes));
    } else {
      scenario->pods.push_back({.pod = *std::move(pod), .source = source});
    }
    return {};
  }
  if (kind == "ResourceQuota") {
    Result<placement::QuotaFacts> quota = placement::ReadQuota(registry, object);
    if (!quota) return Fail(std::move(quota).error().Wrap(source));
    if (quota->namespace_name.empty()) quota->namespace_name = "default";
    scenario->quotas.push_back(*std::move(quota));
    return {};
  }
  if (!CountOf(kind).empty()) return AddTemplate(source, kind, object, scenario);
  scenario->notes.push_back(fmt::format("{}: a {} makes no pods that are simulated", source, kind));
  return {};
}

}  // namespace hami::simulate
