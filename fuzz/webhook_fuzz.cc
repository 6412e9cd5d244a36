// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body of a review. What must hold: no read outside, no hang, no exception; an
// answer is JSON. Of what an API server could send (each name once): a patch can be applied by
// another implementation, touches only what admission may change, leaves no forged decision, and
// the pod that comes of it needs no further one.

#include <stdint.h>
#include <stdlib.h>

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "json/value.h"
#include "vendor/registry.h"
#include "webhook/admission.h"
#include "webhook/review.h"

namespace {

namespace webhook = hami::webhook;

constexpr char kConfig[] =
    "nvidia:\n  resourceCountName: nvidia.com/gpu\n  resourceMemoryName: nvidia.com/gpumem\n"
    "  resourceMemoryPercentageName: nvidia.com/gpumem-percentage\n"
    "  resourceCoreName: nvidia.com/gpucores\n  resourcePriorityName: nvidia.com/priority\n"
    "  overwriteEnv: true\n  defaultGPUNum: 1\n  runtimeClassName: nvidia\n";

const webhook::PodAdmission& Admission() {
  static const hami::vendor::Registry registry = [] {
    auto read = hami::vendor::Registry::FromDeviceConfig(kConfig, nullptr);
    if (!read) abort();
    return std::move(*read);
  }();
  static const webhook::PodAdmission admission(registry, {});
  return admission;
}

std::optional<webhook::Answer> Decide(const std::string& text, bool validate) {
  hami::json::Document document;
  const auto review = webhook::ReadReview(text, &document);
  if (!review) {
    if (review.error().message.empty()) abort();
    return std::nullopt;
  }
  webhook::Answer answer = validate ? Admission().Validate(*review) : Admission().Mutate(*review);
  if (!answer.allowed && answer.message.empty()) abort();
  if (validate && !answer.patch.empty()) abort();
  if (!nlohmann::json::accept(webhook::WriteAnswer(*review, answer))) abort();
  return answer;
}

bool MayChange(const std::string& path) {
  constexpr std::array<std::string_view, 7> kPlaces = {"/metadata/annotations",
                                                       "/metadata/labels/hami.io~1vgpu-node",
                                                       "/metadata",
                                                       "/spec/schedulerName",
                                                       "/spec/runtimeClassName",
                                                       "/spec/containers/",
                                                       "/spec/initContainers/"};
  for (const std::string_view place : kPlaces) {
    if (!path.starts_with(place)) continue;
    if (!place.ends_with("/")) return true;
    return path.find("/resources") != std::string::npos || path.find("/env") != std::string::npos;
  }
  return false;
}

void CheckPatch(const nlohmann::json& review, const webhook::Answer& answer) {
  const nlohmann::json patch = nlohmann::json::parse(answer.patch);
  for (const nlohmann::json& operation : patch) {
    if (!MayChange(operation["path"].get<std::string>())) abort();
  }
  nlohmann::json after = review;
  after["request"]["object"] = review["request"]["object"].patch(patch);
  const auto again = Decide(after.dump(), /*validate=*/false);
  if (!again || (again->allowed && !again->patch.empty())) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string text(reinterpret_cast<const char*>(data), bytes);
  Decide(text, /*validate=*/true);
  if (!Decide(text, /*validate=*/false)) return 0;
  const nlohmann::json review = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (review.is_discarded()) return 0;
  const auto answer = Decide(review.dump(), /*validate=*/false);
  if (answer && !answer->patch.empty()) CheckPatch(review, *answer);
  return 0;
}
