// SPDX-License-Identifier: Apache-2.0

#include "placement/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "domain/go_bool.h"
#include "domain/names.h"
#include "placement/native.h"

namespace hami::placement {
namespace {

const std::string* FindAnnotation(const domain::Pod& pod, std::string_view key) {
  const auto found = pod.annotations.find(std::string(key));
  return found == pod.annotations.end() ? nullptr : &found->second;
}

Status ReadPolicy(const domain::Pod& pod, Policy* policy) {
  if (const std::string* word = FindAnnotation(pod, domain::kNodePolicy)) {
    policy->node = ParseNodePolicy(*word).value_or(policy->node);
  }
  if (const std::string* words = FindAnnotation(pod, domain::kDevicePolicy)) {
    if (!words->empty()) {
      policy->device = ParseDevicePolicy(*words);
      policy->device.by_pod = true;
    }
  }
  // What several devices are taken of: those that hold something already.
  if (policy->node == NodePolicy::kFragmentation && !policy->device.by_pod) {
    policy->device.keys = {DeviceKey::kBinpack};
  }
  if (const std::string* text = FindAnnotation(pod, domain::kNumaBind)) {
    // As in HAMi, what is no truth value is none.
    policy->numa_bind = domain::ParseGoBool(*text).value_or(false);
  }
  if (const std::string* text = FindAnnotation(pod, domain::kScoringWeights)) {
    Result<Weights> weights = ParseWeights(*text);
    if (!weights) {
      return Fail(
          std::move(weights).error().Wrap(fmt::format("annotation {}", domain::kScoringWeights)));
    }
    policy->weights = *weights;
  }
  return {};
}

}  // namespace

bool Request::WantsDevices() const {
  return std::any_of(containers.begin(), containers.end(),
                     [](const ContainerAsk& ask) { return !ask.requests.empty(); });
}

Result<Request> MakeRequest(const vendor::Registry& registry, const domain::Pod& pod,
                            const Policy& defaults) {
  Request request;
  request.pod_uid = pod.uid;
  request.namespace_name = pod.namespace_name;
  request.policy = defaults;
  ASSIGN_OR_RETURN(std::vector<std::vector<vendor::Request>> asked, registry.RequestsOf(pod));
  for (size_t i = 0; i < pod.containers.size(); ++i) {
    ContainerAsk& ask = request.containers.emplace_back();
    ask.kind = pod.containers[i].kind;
    if (i < asked.size()) ask.requests = std::move(asked[i]);
  }
  RETURN_IF_ERROR(ReadPolicy(pod, &request.policy));
  ASSIGN_OR_RETURN(const NativeAsk native, ReadNativeAsk(pod));
  request.cpu_milli = native.cpu_milli;
  request.memory_bytes = native.memory_bytes;
  request.traits = TraitsOf(pod);
  if (!request.WantsDevices()) return request;
  for (size_t id = 0; id < registry.size(); ++id) {
    request.selectors.push_back(registry.SelectorsOf(pod, static_cast<vendor::VendorId>(id)));
  }
  request.pod_annotations = pod.annotations;
  return request;
}

}  // namespace hami::placement
