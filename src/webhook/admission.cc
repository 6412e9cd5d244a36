// SPDX-License-Identifier: Apache-2.0

#include "webhook/admission.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <optional>

#include "domain/names.h"
#include "webhook/pod_changes.h"

namespace hami::webhook {
namespace {

constexpr std::string_view kDefaultScheduler = "default-scheduler";
constexpr std::string_view kSections[] = {"initContainers", "containers"};

bool IsPodCreation(const Review& review) {
  return review.operation == "CREATE" && review.resource == "pods" && review.group.empty() &&
         review.kind == "Pod" && review.subresource.empty();
}

// Of another device plugin: names with a domain that is not Kubernetes' own.
bool IsExtended(std::string_view resource) {
  return resource.find('/') != std::string_view::npos &&
         resource.find("kubernetes.io/") == std::string_view::npos;
}

bool AsksForExtended(const json::Value& container) {
  const json::Value resources = container["resources"];
  if (resources["claims"].size() > 0) return true;
  for (const std::string_view kind : {"limits", "requests"}) {
    for (const auto [name, value] : resources[kind].Members()) {
      if (IsExtended(name)) return true;
    }
  }
  return false;
}

struct Place {
  std::string path;  // "/spec/containers/0"
  json::Value container;
};

// In the order of domain::Pod::containers.
std::vector<Place> ContainersOf(const json::Value& spec) {
  std::vector<Place> places;
  for (const std::string_view section : kSections) {
    size_t index = 0;
    for (const json::Value container : spec[section].Elements()) {
      places.push_back({fmt::format("/spec/{}/{}", section, index++), container});
    }
  }
  return places;
}

bool AreContainers(const json::Value& spec) {
  for (const std::string_view section : kSections) {
    for (const json::Value container : spec[section].Elements()) {
      if (container.kind() != json::Kind::kObject) return false;
    }
  }
  return true;
}

}  // namespace

// A pod and what becomes of it.
struct PodAdmission::Draft {
  explicit Draft(const Review& review)
      : object(review.object),
        spec(object["spec"]),
        name_space(review.name_space),
        changes(object) {}

  void Warn(std::string text) { answer.warnings.push_back(std::move(text)); }

  Answer Finish() && {
    answer.patch = std::move(changes).Take();
    return std::move(answer);
  }

  json::Value object;
  json::Value spec;
  std::string_view name_space;
  PodChanges changes;
  Answer answer;
};

PodAdmission::PodAdmission(const vendor::Registry& registry, AdmissionOptions options)
    : registry_(registry), options_(std::move(options)), protected_(registry) {
  for (std::string& name : registry.ResourceNames()) resources_.insert(std::move(name));
  domain::Pod plain;
  plain.containers.emplace_back();
  if (auto admission = registry.Admit(plain, 0)) {
    no_devices_ = std::move(admission->environment);
  }
}

bool PodAdmission::NamesDevices(const json::Value& spec) const {
  for (const std::string_view section : kSections) {
    for (const json::Value container : spec[section].Elements()) {
      const json::Value resources = container["resources"];
      for (const std::string_view kind : {"limits", "requests"}) {
        for (const auto [name, value] : resources[kind].Members()) {
          if (resources_.contains(name)) return true;
        }
      }
    }
  }
  return false;
}

bool PodAdmission::IsOurs(std::string_view scheduler_name) const {
  return scheduler_name.empty() || scheduler_name == options_.scheduler_name ||
         (scheduler_name == kDefaultScheduler && options_.force_overwrite_default_scheduler);
}

void PodAdmission::Strip(Draft* draft) const {
  const json::Value metadata = draft->object["metadata"];
  for (const std::string_view key : protected_.In(metadata["annotations"])) {
    draft->changes.RemoveAnnotation(key);
    draft->Warn(fmt::format(
        "metadata.annotations: {} was left out, because the scheduler alone writes it", key));
  }
  for (const auto [key, value] : metadata["annotations"].Members()) {
    if (IsWrittenAtAdmission(key)) draft->changes.RemoveAnnotation(key);
  }
  std::set<std::string_view> labels;
  for (const auto [key, value] : metadata["labels"].Members()) {
    if (IsProtectedLabel(key)) labels.insert(key);
  }
  for (const std::string_view key : labels) {
    draft->changes.RemoveLabel(key);
    draft->Warn(
        fmt::format("metadata.labels: {} was left out, because the system alone writes it", key));
  }
}

// overwriteEnv, for a pod without our resources.
void PodAdmission::HideDevices(Draft* draft, bool unless_extended) const {
  if (no_devices_.empty()) return;
  for (const auto& [path, container] : ContainersOf(draft->spec)) {
    if (unless_extended && AsksForExtended(container)) continue;
    draft->changes.SetEnvironment(path, container, no_devices_, &draft->answer.warnings);
  }
}

Answer PodAdmission::Mutate(const Review& review) const {
  if (!IsPodCreation(review)) return {};
  Draft draft(review);
  if (draft.object.kind() != json::Kind::kObject || draft.spec.kind() != json::Kind::kObject) {
    return Deny(400, "request.object is no pod");
  }
  if (draft.spec["containers"].size() == 0) return Deny(422, "pod has no containers");
  if (!AreContainers(draft.spec)) return Deny(400, "the pod's containers cannot be read");
  Strip(&draft);
  const bool names_devices = NamesDevices(draft.spec);
  const std::string_view scheduler = draft.spec["schedulerName"].Text();
  if (!IsOurs(scheduler)) {
    draft.answer.message = "pod already has different scheduler assigned";
    if (names_devices) {
      draft.Warn(
          fmt::format("spec.schedulerName is {}: HAMi neither places this pod nor holds it "
                      "to a slice; write schedulerName: {} if it should",
                      scheduler, options_.scheduler_name));
    } else {
      HideDevices(&draft, /*unless_extended=*/true);
    }
    return std::move(draft).Finish();
  }
  if (names_devices) return MutateTraced(std::move(draft));
  HideDevices(&draft, /*unless_extended=*/false);
  return std::move(draft).Finish();
}

// The annotation takes the trace to the scheduler, and on to the node.
Answer PodAdmission::MutateTraced(Draft draft) const {
  if (options_.tracer == nullptr) return MutateOurs(std::move(draft));
  const std::string key(domain::kTraceparent);
  const json::Value metadata = draft.object["metadata"];
  trace::Span span = options_.tracer->Begin(
      "admission", trace::ParseTraceparent(metadata["annotations"][key].Text()));
  span.attributes["k8s.namespace.name"] = draft.name_space;
  const std::string_view name = metadata["name"].Text();
  span.attributes["k8s.pod.name"] = name.empty() ? metadata["generateName"].Text() : name;
  draft.changes.SetAnnotation(key, trace::FormatTraceparent(span.context));
  Answer answer = MutateOurs(std::move(draft));
  options_.tracer->End(std::move(span), answer.allowed ? "" : answer.message);
  return answer;
}

Answer PodAdmission::MutateOurs(Draft draft) const {
  Result<domain::Pod> pod = domain::ReadPod(draft.object);
  if (!pod) return Deny(400, pod.error().message);
  if (pod->namespace_name.empty()) pod->namespace_name = draft.name_space;
  const std::vector<Place> places = ContainersOf(draft.spec);
  if (pod->containers.size() != places.size()) {
    return Deny(400, "the pod's containers cannot be read");
  }
  bool has_devices = false;
  for (size_t i = 0; i < places.size(); ++i) {
    domain::PodContainer& container = pod->containers[i];
    TakeRequestsAsLimits(&container);
    Result<vendor::Admission> admission = registry_.Admit(*pod, i);
    if (!admission) return Deny(422, admission.error().message);
    has_devices = has_devices || admission->has_devices;
    for (auto& [name, value] : admission->limits) container.limits.insert_or_assign(name, value);
    for (auto& [name, value] : admission->requests) {
      container.requests.insert_or_assign(name, value);
    }
    EqualRequests(&container);
    auto& [path, raw] = places[i];
    draft.changes.SetResources(path, raw, container, &draft.answer.warnings);
    draft.changes.SetEnvironment(path, raw, admission->environment, &draft.answer.warnings);
    for (auto& [key, value] : admission->pod_annotations) {
      pod->annotations.insert_or_assign(key, value);
      draft.changes.SetAnnotation(key, value);
    }
    if (!admission->runtime_class.empty()) draft.changes.SetRuntimeClass(admission->runtime_class);
  }
  if (!has_devices) return std::move(draft).Finish();
  if (Answer refusal = CheckPod(*pod); !refusal.allowed) return refusal;
  if (!options_.scheduler_name.empty()) draft.changes.SetScheduler(options_.scheduler_name);
  return std::move(draft).Finish();
}

// HAMi reads its resources from either; the API server takes extended ones only with limits.
void PodAdmission::TakeRequestsAsLimits(domain::PodContainer* container) const {
  for (const auto& [name, value] : container->requests) {
    if (resources_.contains(name)) container->limits.emplace(name, value);
  }
}

// Of extended resources the API server refuses requests that are not their limits.
void PodAdmission::EqualRequests(domain::PodContainer* container) const {
  for (auto& [name, value] : container->requests) {
    const auto limit = container->limits.find(name);
    if (limit != container->limits.end() && resources_.contains(name)) value = limit->second;
  }
}

// A pod with devices, as it will be stored.
Answer PodAdmission::CheckPod(const domain::Pod& pod) const {
  for (const domain::PodContainer& container : pod.containers) {
    if (!container.privileged) continue;
    return Deny(403, fmt::format("container {} is privileged: it could use every device of its "
                                 "node; leave out securityContext.privileged in a pod that asks "
                                 "for devices",
                                 container.name));
  }
  if (!pod.node_name.empty()) {
    return Deny(403, fmt::format("pod has node assigned: spec.nodeName bypasses the scheduler, "
                                 "which chooses the devices; write nodeSelector "
                                 "{{kubernetes.io/hostname: {}}} instead",
                                 pod.node_name));
  }
  if (const auto requests = registry_.RequestsOf(pod); !requests) {
    return Deny(422, requests.error().message);
  }
  if (!options_.check) return {};
  const Status checked = options_.check(pod);
  if (checked) return {};
  if (checked.error().code != Code::kResourceExhausted) return Deny(422, checked.error().message);
  return Deny(403, fmt::format("exceeding resource quota: {}", checked.error().message));
}

}  // namespace hami::webhook
