// SPDX-License-Identifier: Apache-2.0
//
// MetaX, shared cards: QoS policies and application classes are annotations of the pod; they stand
// in the shape of requests and slices, where the rule of placement finds them.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <optional>
#include <utility>

#include "base/json_writer.h"
#include "json/value.h"
#include "vendor/asked.h"
#include "vendor/metax_shape.h"
#include "vendor/strategies.h"
#include "vendor/whole_number.h"

namespace hami::vendor {
namespace {

constexpr const char* kQosKey = "metax-tech.com/sgpu-qos-policy";
constexpr const char* kClassKey = "metax-tech.com/sgpu-app-class";
constexpr const char* kDevicesKey = "metax-tech.com/node-gpu-devices";
constexpr std::array<std::string_view, 3> kPolicies = {"best-effort", "fixed-share", "burst-share"};
constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
constexpr int64_t kMib = int64_t{1} << 20;
constexpr size_t kMostOfNode = 4096;
constexpr int32_t kWholeCard = 100;

std::string Annotation(const domain::Pod& pod, const char* key) {
  const auto found = pod.annotations.find(key);
  return found == pod.annotations.end() ? std::string() : found->second;
}

Result<int32_t> MemoryMib(const domain::PodContainer& container, const std::string& resource) {
  const std::string* text = AskedText(container, resource);
  if (text == nullptr) return 0;
  const std::optional<int64_t> value = WholeNumber(*text);
  const bool has_unit = std::any_of(text->begin(), text->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  const bool is_whole = value && *value >= 0 && (!has_unit || *value == 0 || *value >= kMib);
  const int64_t gib_most = kMost / 1024;
  if (!is_whole || (has_unit ? *value / kMib > kMost : *value > gib_most)) {
    return Refuse(
        container, resource,
        fmt::format("\"{}\" is neither a number of GiB such as 8 nor a size such as 8Gi", *text));
  }
  return static_cast<int32_t>(has_unit ? *value / kMib : *value * 1024);
}

// What the rule compares; see metax_shape.h.
std::string ShapeName(const domain::Pod& pod, int32_t cores) {
  const std::string app_class = Annotation(pod, kClassKey);
  if (app_class == kMetaxOnline) return std::string(kMetaxOnline);
  // An idle card and one that is taken whole have no policy.
  std::string policy = cores == kWholeCard ? std::string() : Annotation(pod, kQosKey);
  if (app_class != kMetaxOffline) return policy;
  return fmt::format("{}/{}", kMetaxOffline, policy);
}

int32_t Number(const json::Value& value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value.Int(), 0, kMost));
}

}  // namespace

Result<Request> AskMetaxShared(const Spec& spec, const domain::Pod& pod,
                               const domain::PodContainer& container) {
  Request request;
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return request;
  request.count = static_cast<int32_t>(*count);
  ASSIGN_OR_RETURN(request.memory_mib, MemoryMib(container, names.memory));
  if (request.memory_mib == 0) request.memory_pct = 100;
  ASSIGN_OR_RETURN(const std::optional<int64_t> cores, Asked(container, names.cores, kWholeCard));
  request.cores = static_cast<int32_t>(cores.value_or(spec.units.default_cores));
  request.shape.name = ShapeName(pod, request.cores);
  // The driver suspends others for it: nothing is reserved.
  if (request.shape.name == kMetaxOnline) request.cores = 0;
  return request;
}

Status AdmitMetaxShared(const Spec& spec, const domain::Pod& pod,
                        const domain::PodContainer& container, Admission* admission) {
  ASSIGN_OR_RETURN(const Request request, spec.ask(spec, pod, container));
  if (request.count == 0) return {};
  admission->has_devices = true;
  const auto app_class = pod.annotations.find(kClassKey);
  if (app_class != pod.annotations.end()) {
    if (app_class->second != kMetaxOnline && app_class->second != kMetaxOffline) {
      return Refuse(container, kClassKey,
                    fmt::format("\"{}\" is neither {} nor {}", app_class->second, kMetaxOnline,
                                kMetaxOffline));
    }
    if (request.count != 1) {
      return Refuse(
          container, spec.resources.count,
          fmt::format("{}: a pod with {} has exactly 1 device", request.count, kClassKey));
    }
    if (app_class->second == kMetaxOnline) return {};
  }
  const auto policy = pod.annotations.find(kQosKey);
  if (policy == pod.annotations.end()) {
    admission->pod_annotations[kQosKey] = std::string(kPolicies.front());
    return {};
  }
  if (std::find(kPolicies.begin(), kPolicies.end(), policy->second) == kPolicies.end()) {
    return Refuse(container, kQosKey,
                  fmt::format("\"{}\" is none of {}, {}, {}", policy->second, kPolicies[0],
                              kPolicies[1], kPolicies[2]));
  }
  return {};
}

std::vector<Device> ReadMetaxShared(const Spec& spec, const domain::Node& node,
                                    std::vector<std::string>* problems) {
  const auto found = node.annotations.find(kDevicesKey);
  if (found == node.annotations.end() || found->second.empty()) return {};
  json::Document document;
  const Status parsed = document.Parse(found->second);
  if (!parsed || document.root().kind() != json::Kind::kArray ||
      document.root().size() > kMostOfNode) {
    problems->push_back(fmt::format("{}: {}", kDevicesKey,
                                    parsed ? "is no list of devices" : parsed.error().message));
    return {};
  }
  std::vector<Device> devices;
  for (const json::Value item : document.root().Elements()) {
    Device& device = devices.emplace_back();
    device.id = item["uuid"].Text();
    device.index = static_cast<int32_t>(devices.size() - 1);
    device.slots = Number(item["totalDevCount"]);
    device.memory_mib = Number(item["totalVRam"]);
    device.cores = Number(item["totalCompute"]);
    device.numa = Number(item["numa"]);
    device.healthy = item["healthy"].Flag();
    device.type = spec.common_word;
    device.extra = {{"Model", std::string(item["model"].Text())},
                    {"QosPolicy", std::string(item["qosPolicy"].Text())},
                    {"LinkZone", std::to_string(Number(item["linkZone"]))}};
  }
  return devices;
}

void NoteMetaxShared(const Spec& /*spec*/, const Grant& grant,
                     std::map<std::string, std::string>* annotations) {
  base::JsonWriter json;
  json.BeginArray();
  bool any = false;
  for (const auto& slices : grant.containers) {
    json.BeginArray();
    for (const domain::Slice* slice : slices) {
      any = true;
      json.BeginObject().Member("uuid", slice->device);
      // Zeros are left out, as its reader expects.
      if (slice->cores != 0) json.Member("compute", slice->cores);
      if (slice->memory_mib != 0) json.Member("vRam", slice->memory_mib);
      json.EndObject();
    }
    json.EndArray();
  }
  json.EndArray();
  if (!any) return;
  (*annotations)["metax-tech.com/gpu-devices-allocated"] = std::move(json).Take();
  (*annotations)["metax-tech.com/predicate-time"] = std::to_string(grant.now_ns);
}

Status ReadMetaxSharedNote(const Spec& /*spec*/, const domain::Pod& pod,
                           std::vector<domain::Slice>* slices) {
  for (domain::Slice& slice : *slices) slice.shape = ShapeName(pod, slice.cores);
  return {};
}

}  // namespace hami::vendor
