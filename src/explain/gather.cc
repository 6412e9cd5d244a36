// SPDX-License-Identifier: Apache-2.0

#include "explain/gather.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/stable_sort.h"
#include "domain/node.h"
#include "domain/pod.h"
#include "domain/resource_claim.h"
#include "domain/resource_slice.h"
#include "explain/read_objects.h"
#include "explain/similar_names.h"
#include "json/value.h"
#include "kube/status.h"
#include "placement/request.h"
#include "simulate/manifest.h"

namespace hami::explain {
namespace {

// Somebody waits for a single object; a server that is there answers within milliseconds.
constexpr int64_t kGetTimeoutMs = 5'000;
constexpr size_t kMostPhases = 16;
constexpr size_t kMostPodsWithEvents = 4;
constexpr char kPluginName[] = "hami-dra-driver-kubelet-plugin";

const kube::ResourceType kDaemonSets{"apps", "v1", "daemonsets"};

bool IsUsed(const PodFacts& pod, const ClaimFacts& facts) {
  if (Names(pod, facts.name)) return true;
  return facts.claim && std::ranges::any_of(facts.claim->reserved_for, [&](const auto& consumer) {
           return consumer.resource == "pods" && consumer.uid == pod.uid;
         });
}

void AddGenerated(const PodFacts& pod, ClaimFacts* facts) {
  for (const PodClaim& entry : pod.claims) {
    if (entry.template_name != facts->name) continue;
    facts->generated.push_back({.pod = pod.name, .claim = entry.claim});
  }
}

}  // namespace

Result<bool> Gatherer::Read(const kube::ResourceType& type, const kube::ListOptions& options,
                            const std::string& what, std::vector<Gap>* gaps,
                            const kube::Client::Visit& visit,
                            const std::function<void()>& restart) {
  // An object that is not as it should be is one gap, not the end.
  const auto lenient = [&](json::Value object) -> Status {
    if (const Status read = visit(object); !read) {
      gaps->push_back({.what = fmt::format("{} of {}", object["metadata"]["name"].Text(), what),
                       .why = read.error().message});
    }
    return {};
  };
  const Result<std::string> listed = client_.List(type, options, lenient, restart);
  if (listed) return true;
  if (listed.error().code != Code::kPermissionDenied) {
    return Fail(Error(listed.error()).Wrap("list " + type.plural));
  }
  gaps->push_back({.what = what, .why = listed.error().message});
  return false;
}

Result<std::string> Gatherer::Get(const kube::ResourceType& type, const kube::ObjectKey& key) {
  RETURN_IF_ERROR(kube::CheckKey(key));
  kube::ApiRequest request = kube::GetRequest(type, key);
  request.timeout_ms = kGetTimeoutMs;
  return client_.Do(std::move(request));
}

Result<ClaimFacts> Gatherer::Claim(const kube::ObjectKey& key) {
  ClaimFacts facts = {.namespace_name = key.name_space, .name = key.name};
  const Result<std::string> text = Get(kube::kResourceClaims, key);
  if (!text && (text.error().code == Code::kNotFound || text.error().reason == kube::kNotServed)) {
    return facts;
  }
  if (!text) return Fail(Error(text.error()));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(*text));
  ASSIGN_OR_RETURN(facts.claim, domain::ReadResourceClaim(document.root()));
  return facts;
}

Result<PodFacts> Gatherer::Pod(const kube::ObjectKey& key) {
  ASSIGN_OR_RETURN(const std::string text, Get(kube::kPods, key));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  return ReadPod(document.root());
}

Result<PlacingFacts> Gatherer::Placing(const vendor::Registry& registry,
                                       const kube::ObjectKey& key) {
  PlacingFacts facts;
  ASSIGN_OR_RETURN(const std::string text, Get(kube::kPods, key));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  ASSIGN_OR_RETURN(facts.pod, domain::ReadPod(document.root()));
  const auto request = placement::MakeRequest(registry, facts.pod, {});
  if (!request || !request->WantsDevices() || !facts.pod.node_name.empty()) return facts;
  ASSIGN_OR_RETURN(facts.nodes_known,
                   Read(
                       kube::kNodes, {}, "nodes", &facts.gaps,
                       [&](json::Value object) -> Status {
                         ASSIGN_OR_RETURN(const domain::Node node, domain::ReadNode(object));
                         facts.nodes.push_back(simulate::FactsOf(registry, node, &facts.notes));
                         return {};
                       },
                       [&] { facts.nodes.clear(); }));
  const auto visit = [&](json::Value object) -> Status {
    ASSIGN_OR_RETURN(const domain::Pod pod, domain::ReadPod(object));
    if (pod.node_name.empty() || pod.IsOver()) return {};
    facts.running.push_back(simulate::FactsOf(registry, pod, &facts.notes));
    return {};
  };
  const auto restart = [&] { facts.running.clear(); };
  ASSIGN_OR_RETURN(const bool all,
                   Read(kube::kPods, {}, "pods of other namespaces", &facts.gaps, visit, restart));
  if (all) return facts;
  ASSIGN_OR_RETURN(
      [[maybe_unused]] const bool own,
      Read(kube::kPods, {.name_space = key.name_space}, "pods", &facts.gaps, visit, restart));
  return facts;
}

Result<ClusterFacts> Gatherer::Cluster(const std::string& name_space) {
  ClusterFacts cluster;
  std::vector<ClassFacts> classes;
  const Result<bool> listed_classes = Read(
      kube::kDeviceClasses, {}, "DeviceClasses", &cluster.gaps,
      [&](json::Value object) -> Status {
        classes.push_back(ReadClass(object));
        return {};
      },
      [&] { classes.clear(); });
  if (!listed_classes && listed_classes.error().reason == kube::kNotServed) {
    cluster.served = false;
    kube::ApiRequest request;
    request.path = "/version";
    request.timeout_ms = kGetTimeoutMs;
    const Result<std::string> text = client_.Do(std::move(request));
    json::Document document;
    if (text && document.Parse(*text))
      cluster.server_version = document.root()["gitVersion"].Text();
    return cluster;
  }
  if (!listed_classes) return Fail(Error(listed_classes.error()));
  if (*listed_classes) cluster.classes = std::move(classes);

  std::vector<domain::ResourceSlice> slices;
  ASSIGN_OR_RETURN(const bool listed_slices,
                   Read(
                       kube::kResourceSlices, {}, "ResourceSlices", &cluster.gaps,
                       [&](json::Value object) -> Status {
                         ASSIGN_OR_RETURN(domain::ResourceSlice slice,
                                          domain::ReadResourceSlice(object));
                         slices.push_back(std::move(slice));
                         return {};
                       },
                       [&] { slices.clear(); }));
  if (listed_slices) cluster.slices = std::move(slices);

  const auto add_claim = [&](json::Value object) -> Status {
    ASSIGN_OR_RETURN(domain::ResourceClaim claim, domain::ReadResourceClaim(object));
    cluster.claims.push_back(std::move(claim));
    return {};
  };
  const auto restart = [&] { cluster.claims.clear(); };
  std::vector<Gap> refused;
  ASSIGN_OR_RETURN(cluster.all_claims,
                   Read(kube::kResourceClaims, {}, "ResourceClaims", &refused, add_claim, restart));
  if (!cluster.all_claims) {
    refused.clear();
    ASSIGN_OR_RETURN(const bool own, Read(kube::kResourceClaims, {.name_space = name_space},
                                          "ResourceClaims of namespace " + name_space, &refused,
                                          add_claim, restart));
    (void)own;  // else the gap says it
  }
  cluster.gaps.insert(cluster.gaps.end(), refused.begin(), refused.end());
  return cluster;
}

Status Gatherer::AddPods(ClaimFacts* facts) {
  std::vector<PodFacts> pods;
  ASSIGN_OR_RETURN(const bool listed,
                   Read(
                       kube::kPods, {.name_space = facts->namespace_name},
                       "Pods of namespace " + facts->namespace_name, &facts->gaps,
                       [&](json::Value object) -> Status {
                         PodFacts pod = ReadPod(object);
                         if (facts->is_template) AddGenerated(pod, facts);
                         if (IsUsed(pod, *facts)) pods.push_back(std::move(pod));
                         return {};
                       },
                       [&] {
                         pods.clear();
                         facts->generated.clear();
                       }));
  if (!listed && facts->claim) {
    // What the claim itself says.
    for (const domain::ClaimConsumer& consumer : facts->claim->reserved_for) {
      if (consumer.resource != "pods") continue;
      pods.push_back({.namespace_name = facts->namespace_name, .name = consumer.name});
    }
  }
  size_t asked = 0;
  for (PodFacts& pod : pods) {
    if (!listed || IsWell(pod) || asked++ >= kMostPodsWithEvents) continue;
    RETURN_IF_ERROR(AddWarnings(&pod, &facts->gaps));
  }
  facts->pods = std::move(pods);
  return {};
}

Status Gatherer::AddWarnings(PodFacts* pod, std::vector<Gap>* gaps) {
  std::vector<PodEvent> warnings;
  const std::string selector = fmt::format(
      "involvedObject.kind=Pod,involvedObject.name={},involvedObject.uid={},type=Warning",
      pod->name, pod->uid);
  std::vector<Gap> refused;
  ASSIGN_OR_RETURN(
      const bool listed,
      Read(
          kube::kEvents, {.name_space = pod->namespace_name, .field_selector = selector},
          "Events of namespace " + pod->namespace_name, &refused,
          [&](json::Value object) -> Status {
            warnings.push_back(ReadEvent(object));
            return {};
          },
          [&] { warnings.clear(); }));
  if (!listed && std::ranges::find(*gaps, refused.front()) == gaps->end()) {
    gaps->push_back(refused.front());
  }
  base::StableSortBy(&warnings, [](const PodEvent& event) { return std::tie(event.last_seen); });
  std::ranges::reverse(warnings);
  // The pod's condition is the scheduler's newest word.
  std::erase_if(warnings, [](const PodEvent& event) { return event.reason == "FailedScheduling"; });
  pod->warnings = std::move(warnings);
  return {};
}

void Gatherer::AddNeighbours(const ClusterFacts& cluster, ClaimFacts* facts) {
  std::vector<std::string> names;
  for (const domain::ResourceClaim& claim : cluster.claims) {
    if (claim.namespace_name == facts->namespace_name) names.push_back(claim.name);
    if (claim.namespace_name != facts->namespace_name && claim.name == facts->name) {
      facts->similar.push_back(claim.namespace_name + "/" + claim.name);
    }
  }
  const std::vector<std::string> similar = SimilarNames(facts->name, std::move(names));
  facts->similar.insert(facts->similar.end(), similar.begin(), similar.end());

  // What is said about claims stands without it.
  facts->is_template =
      Get(kube::kResourceClaimTemplates, {facts->namespace_name, facts->name}).has_value();
}

Status Gatherer::AddNodes(ClusterFacts* cluster) {
  std::vector<NodeFacts> nodes;
  ASSIGN_OR_RETURN(const bool listed_nodes, Read(
                                                kube::kNodes, {}, "Nodes", &cluster->gaps,
                                                [&](json::Value object) -> Status {
                                                  nodes.push_back(ReadNode(object));
                                                  return {};
                                                },
                                                [&] { nodes.clear(); }));
  if (listed_nodes) cluster->nodes = std::move(nodes);
  PluginFacts plugin;
  ASSIGN_OR_RETURN(
      const bool listed_plugins,
      Read(
          kDaemonSets, {.field_selector = fmt::format("metadata.name={}", kPluginName)},
          "DaemonSets", &cluster->gaps,
          [&](json::Value object) -> Status {
            plugin = ReadPlugin(object);
            return {};
          },
          [&] { plugin = {}; }));
  if (listed_plugins) cluster->plugin = plugin;
  return {};
}

std::map<std::string, std::string> Gatherer::Phases(const std::vector<std::string>& pods) {
  std::map<std::string, std::string> phases;
  for (const std::string& pod : pods) {
    if (phases.size() == kMostPhases) break;
    const size_t slash = pod.find('/');
    const Result<PodFacts> facts = Pod({pod.substr(0, slash), pod.substr(slash + 1)});
    if (facts) phases[pod] = facts->deleted ? facts->phase + ", ending" : facts->phase;
    // Without the right to read one, the rest is refused too, or not worth many questions.
    if (!facts && facts.error().code != Code::kNotFound) break;
  }
  return phases;
}

}  // namespace hami::explain
