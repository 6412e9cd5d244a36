// SPDX-License-Identifier: Apache-2.0

#include "domain/pod.h"

#include <algorithm>
#include <limits>

#include "base/timestamp.h"
#include "domain/json_maps.h"
#include "domain/names.h"
#include "domain/pod_parts.h"

namespace hami::domain {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

PodContainer ReadContainer(const json::Value& object, bool is_init) {
  PodContainer container;
  container.name = object["name"].Text();
  if (is_init) {
    const bool is_sidecar = object["restartPolicy"].Text() == "Always";
    container.kind = is_sidecar ? ContainerKind::kSidecar : ContainerKind::kInit;
  }
  container.privileged = object["securityContext"]["privileged"].Flag();
  container.limits = ReadResources(object["resources"]["limits"]);
  container.requests = ReadResources(object["resources"]["requests"]);
  return container;
}

void ReadMetadata(const json::Value& metadata, Pod* pod) {
  pod->namespace_name = metadata["namespace"].Text();
  pod->name = metadata["name"].Text();
  pod->uid = metadata["uid"].Text();
  pod->resource_version = metadata["resourceVersion"].Text();
  pod->labels = ReadTexts(metadata["labels"]);
  pod->annotations = ReadAnnotations(metadata["annotations"]);
  pod->terminating = !metadata["deletionTimestamp"].Text().empty();
  pod->created_s =
      base::ParseTimestamp(metadata["creationTimestamp"].Text()).value_or(0) / kSecondNs;
}

void ReadSpec(const json::Value& spec, PodParts* parts) {
  Pod& pod = parts->pod;
  for (const json::Value item : spec["initContainers"].Elements()) {
    pod.containers.push_back(ReadContainer(item, true));
  }
  for (const json::Value item : spec["containers"].Elements()) {
    pod.containers.push_back(ReadContainer(item, false));
  }
  pod.overhead = ReadResources(spec["overhead"]);
  pod.scheduler_name = spec["schedulerName"].Text();
  pod.node_name = spec["nodeName"].Text();
  const int64_t priority = spec["priority"].Int();
  pod.priority = static_cast<int32_t>(std::clamp<int64_t>(
      priority, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
  pod.priority_class = spec["priorityClassName"].Text();
  pod.has_deadline = spec["activeDeadlineSeconds"].kind() == json::Kind::kNumber;
  pod.never_preempts = spec["preemptionPolicy"].Text() == "Never";
  pod.gated = spec["schedulingGates"].size() > 0;
  parts->spec_pod_group = spec["schedulingGroup"]["podGroupName"].Text();
}

void ReadStatus(const json::Value& status, PodParts* parts) {
  parts->pod.phase = status["phase"].Text();
  parts->pod.nominated_node_name = status["nominatedNodeName"].Text();
  for (const json::Value item : status["initContainerStatuses"].Elements()) {
    const json::Value ended = item["state"]["terminated"];
    if (ended.kind() == json::Kind::kObject && ended["exitCode"].Int() == 0) {
      parts->ended_inits.emplace_back(item["name"].Text());
    }
  }
}

}  // namespace

const std::string* PodContainer::Asked(const std::string& resource) const {
  if (const auto limit = limits.find(resource); limit != limits.end()) return &limit->second;
  const auto request = requests.find(resource);
  return request == requests.end() ? nullptr : &request->second;
}

Pod Complete(PodParts parts) {
  Pod pod = std::move(parts.pod);
  const auto group = pod.labels.find(std::string(kPodGroupLabel));
  pod.pod_group =
      group == pod.labels.end() ? std::move(parts.spec_pod_group) : std::string(group->second);
  pod.init_done = std::ranges::all_of(pod.containers, [&parts](const PodContainer& container) {
    return container.kind != ContainerKind::kInit ||
           std::ranges::find(parts.ended_inits, container.name) != parts.ended_inits.end();
  });
  return pod;
}

Result<Pod> ReadPod(const json::Value& object) {
  if (object.kind() != json::Kind::kObject) return Fail(Code::kInvalidArgument, "no object");
  if (const std::string_view kind = object["kind"].Text("Pod"); kind != "Pod") {
    return Fail(Code::kInvalidArgument, "a " + std::string(kind.substr(0, 64)) + " is no pod");
  }
  if (object["spec"].kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument, "a pod without a spec");
  }
  PodParts parts;
  ReadMetadata(object["metadata"], &parts.pod);
  ReadSpec(object["spec"], &parts);
  ReadStatus(object["status"], &parts);
  return Complete(std::move(parts));
}

}  // namespace hami::domain
