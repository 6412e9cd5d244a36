// SPDX-License-Identifier: Apache-2.0

#include "explain/read_objects.h"

#include <algorithm>
#include <string>
#include <utility>

#include "dra/names.h"

namespace hami::explain {
namespace {

constexpr std::string_view kWaiting = "waiting";
constexpr std::string_view kTerminated = "terminated";

void ReadContainers(const json::Value& statuses, PodFacts* pod) {
  for (const json::Value status : statuses.Elements()) {
    const json::Value state = status["state"];
    for (const std::string_view kind : {kWaiting, kTerminated}) {
      const json::Value detail = state[kind];
      if (!detail.exists() || detail["reason"].Text() == "Completed") continue;
      // Every container waits so while the pod is being set up: that says nothing.
      const std::string_view reason = detail["reason"].Text();
      if (reason == "ContainerCreating" || reason == "PodInitializing") continue;
      StuckContainer stuck = {.name = std::string(status["name"].Text()),
                              .reason = std::string(reason),
                              .message = std::string(detail["message"].Text())};
      const json::Value ended = kind == kTerminated ? detail : status["lastState"][kTerminated];
      if (ended.exists()) stuck.exit_code = ended["exitCode"].Int();
      pod->stuck.push_back(std::move(stuck));
    }
  }
}

std::string ClaimOfEntry(const json::Value& statuses, std::string_view entry) {
  for (const json::Value status : statuses.Elements()) {
    if (status["name"].Text() == entry) return std::string(status["resourceClaimName"].Text());
  }
  return {};
}

}  // namespace

PodFacts ReadPod(const json::Value& object) {
  PodFacts pod;
  const json::Value metadata = object["metadata"];
  const json::Value spec = object["spec"];
  const json::Value status = object["status"];
  pod.namespace_name = metadata["namespace"].Text();
  pod.name = metadata["name"].Text();
  pod.uid = metadata["uid"].Text();
  pod.deleted = metadata["deletionTimestamp"].exists();
  pod.phase = status["phase"].Text();
  pod.node = spec["nodeName"].Text();
  pod.scheduler = spec["schedulerName"].Text();
  for (const json::Value condition : status["conditions"].Elements()) {
    pod.conditions.push_back({.type = std::string(condition["type"].Text()),
                              .holds = condition["status"].Text() == "True",
                              .reason = std::string(condition["reason"].Text()),
                              .message = std::string(condition["message"].Text())});
  }
  ReadContainers(status["initContainerStatuses"], &pod);
  ReadContainers(status["containerStatuses"], &pod);
  for (const json::Value entry : spec["resourceClaims"].Elements()) {
    PodClaim claim = {.entry = std::string(entry["name"].Text()),
                      .claim = std::string(entry["resourceClaimName"].Text()),
                      .template_name = std::string(entry["resourceClaimTemplateName"].Text())};
    if (claim.claim.empty()) {
      claim.claim = ClaimOfEntry(status["resourceClaimStatuses"], claim.entry);
    }
    pod.claims.push_back(std::move(claim));
  }
  const json::Value extended = status["extendedResourceClaimStatus"];
  if (extended.exists()) {
    pod.claims.push_back({.entry = "(extended resources)",
                          .claim = std::string(extended["resourceClaimName"].Text())});
  }
  return pod;
}

ClassFacts ReadClass(const json::Value& object) {
  ClassFacts facts = {.name = std::string(object["metadata"]["name"].Text())};
  for (const json::Value selector : object["spec"]["selectors"].Elements()) {
    facts.selectors.emplace_back(selector["cel"]["expression"].Text());
  }
  return facts;
}

NodeFacts ReadNode(const json::Value& object) {
  NodeFacts node;
  node.name = object["metadata"]["name"].Text();
  node.labelled = object["metadata"]["labels"][dra::kNodeLabel].Text() == dra::kNodeLabelValue;
  node.cordoned = object["spec"]["unschedulable"].Flag();
  for (const json::Value condition : object["status"]["conditions"].Elements()) {
    if (condition["type"].Text() == "Ready") node.ready = condition["status"].Text() == "True";
  }
  return node;
}

PodEvent ReadEvent(const json::Value& object) {
  PodEvent event;
  event.reason = object["reason"].Text();
  event.message = object["message"].Text();
  const json::Value series = object["series"];
  event.count = std::max<int64_t>({object["count"].Int(1), series["count"].Int(1), 1});
  for (const json::Value time : {series["lastObservedTime"], object["lastTimestamp"],
                                 object["eventTime"], object["metadata"]["creationTimestamp"]}) {
    if (event.last_seen.empty()) event.last_seen = time.Text();
  }
  return event;
}

PluginFacts ReadPlugin(const json::Value& object) {
  return {.found = true,
          .namespace_name = std::string(object["metadata"]["namespace"].Text()),
          .wanted = object["status"]["desiredNumberScheduled"].Int(),
          .ready = object["status"]["numberReady"].Int()};
}

bool Names(const PodFacts& pod, std::string_view claim) {
  return std::ranges::any_of(pod.claims,
                             [&](const PodClaim& entry) { return entry.claim == claim; });
}

bool IsWell(const PodFacts& pod) {
  if (pod.deleted) return false;
  if (pod.phase == "Succeeded") return true;
  return pod.phase == "Running" &&
         std::ranges::all_of(pod.conditions, [](const PodCondition& condition) {
           return condition.type != "ContainersReady" || condition.holds;
         });
}

}  // namespace hami::explain
