// SPDX-License-Identifier: Apache-2.0

#include "extender/objects.h"

#include <charconv>
#include <utility>

#include "base/clock.h"
#include "domain/names.h"
#include "domain/node_needs.h"
#include "domain/protobuf_objects.h"
#include "domain/quantity.h"
#include "placement/native.h"
#include "placement/quota.h"
#include "placement/request.h"

namespace hami::extender {
namespace {

const std::string* Find(const std::map<std::string, std::string>& texts, std::string_view name) {
  const auto found = texts.find(std::string(name));
  return found == texts.end() ? nullptr : &found->second;
}

int64_t WholeNumber(const std::string& text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  // Years enough, and no sum of it overflows.
  constexpr int64_t kMost = 1'000'000'000'000;
  return error == std::errc() && at == end && number >= 0 && number < kMost ? number : 0;
}

int64_t Quantity(const domain::ResourceTexts& texts, const char* name, bool milli) {
  const std::string* text = Find(texts, name);
  if (text == nullptr) return 0;
  const Result<int64_t> value =
      milli ? domain::ParseMilliQuantity(*text) : domain::ParseQuantity(*text);
  return value ? *value : 0;
}

bool HoldsDevices(const placement::PodFacts& facts) { return !facts.slices.empty(); }

}  // namespace

placement::PodFacts FactsOf(const domain::Pod& pod, const placement::Request& request) {
  placement::PodFacts facts;
  facts.uid = pod.uid;
  facts.namespace_name = pod.namespace_name;
  facts.name = pod.name;
  facts.node = pod.node_name;
  facts.kinds.reserve(pod.containers.size());
  for (const domain::PodContainer& container : pod.containers) {
    facts.kinds.push_back(container.kind);
  }
  facts.init_done = pod.init_done;
  facts.priority = pod.priority;
  facts.cpu_milli = request.cpu_milli;
  facts.memory_bytes = request.memory_bytes;
  facts.traits = placement::TraitsOf(pod);
  return facts;
}

Result<PodEntry> ReadPodEntry(const vendor::Registry& registry, json::Value object) {
  ASSIGN_OR_RETURN(domain::Pod pod, domain::ReadPod(object));
  return ReadPodEntry(registry, std::move(pod));
}

Result<PodEntry> ReadPodEntry(const vendor::Registry& registry, domain::Pod pod) {
  if (pod.uid.empty() || pod.name.empty()) {
    return Fail(Code::kInvalidArgument, "a pod without name or uid");
  }
  PodEntry entry;
  entry.key = {pod.namespace_name, pod.name};
  entry.version = kube::VersionNumber(pod.resource_version);
  // Of what it asks only what it takes of its node is wanted here, and that counts also where
  // something else of it is wrong.
  placement::Request native;
  if (const Result<placement::NativeAsk> ask = placement::ReadNativeAsk(pod)) {
    native.cpu_milli = ask->cpu_milli;
    native.memory_bytes = ask->memory_bytes;
  }
  entry.facts = FactsOf(pod, native);
  entry.bound = !pod.node_name.empty();
  entry.over = pod.IsOver();
  entry.terminating = pod.terminating;
  Result<domain::Allocation> allocation = registry.ReadAllocation(pod);
  if (!allocation) {
    entry.problem = allocation.error().message;
  } else if (entry.bound && !allocation->node.empty() && allocation->node != pod.node_name) {
    entry.problem = "it is on node " + pod.node_name + ", its allocation on " + allocation->node;
  } else {
    entry.facts.slices = std::move(allocation->slices);
    if (!entry.bound) {
      entry.facts.node = allocation->node;
      if (const std::string* text = Find(pod.annotations, domain::kVgpuTime)) {
        entry.decided_s = WholeNumber(*text);
      }
    }
  }
  if (HoldsDevices(entry.facts)) entry.labels = std::move(pod.labels);
  return entry;
}

Result<NodeEntry> ReadNodeEntry(const vendor::Registry& registry, json::Value object) {
  ASSIGN_OR_RETURN(domain::Node node, domain::ReadNode(object));
  return ReadNodeEntry(registry, std::move(node));
}

Result<NodeEntry> ReadNodeEntry(const vendor::Registry& registry, std::string_view message) {
  ASSIGN_OR_RETURN(domain::Node node, domain::ReadNodeProtobuf(message));
  return ReadNodeEntry(registry, std::move(node));
}

NodeEntry ReadNodeEntry(const vendor::Registry& registry, domain::Node node) {
  NodeEntry entry;
  entry.key = {"", node.name};
  entry.facts.name = node.name;
  const int64_t now_s = base::SystemClock().WallNs() / 1'000'000'000;
  entry.facts.devices = registry.DevicesOf(node, &entry.problems, now_s);
  entry.facts.cpu_milli = Quantity(node.allocatable, "cpu", true);
  entry.facts.memory_bytes = Quantity(node.allocatable, "memory", false);
  const std::string* protocol = Find(node.annotations, domain::kAllocationProtocol);
  entry.takes_binding = protocol != nullptr && *protocol == domain::kAllocationProtocolBindingV1;
  // Rules of single vendors want them; a node without devices needs none.
  if (!entry.facts.devices.empty()) {
    entry.taints = domain::BarringTaints(node);
    entry.facts.labels = std::move(node.labels);
    entry.facts.annotations = std::move(node.annotations);
  }
  return entry;
}

Result<QuotaEntry> ReadQuotaEntry(const vendor::Registry& registry, json::Value object) {
  QuotaEntry entry;
  ASSIGN_OR_RETURN(entry.facts, placement::ReadQuota(registry, object));
  entry.key = {entry.facts.namespace_name, entry.facts.name};
  return entry;
}

}  // namespace hami::extender
