// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <array>

#include "webhook/admission.h"

namespace hami::webhook {
namespace {

bool IsPod(const Review& review) {
  return review.resource == "pods" && review.group.empty() && review.kind == "Pod";
}

bool IsBinding(const Review& review) {
  return review.operation == "CREATE" &&
         ((review.resource == "pods" && review.subresource == "binding") ||
          review.resource == "bindings");
}

// Of the protected names of both, the first whose value is another, or is there in one alone.
template <typename F>
std::string_view FirstChange(const json::Value& before, const json::Value& after, F is_protected) {
  for (const auto [key, value] : after.Members()) {
    if (is_protected(key) && before[key].Json() != value.Json()) return key;
  }
  for (const auto [key, value] : before.Members()) {
    if (is_protected(key) && !after[key].exists()) return key;
  }
  return {};
}

}  // namespace

// Who may not write protected annotations leaves them as they are.
Answer PodAdmission::ValidateWritten(const Review& review) const {
  if (options_.trusted_users.contains(review.user)) return {};
  const json::Value before = review.old_object["metadata"];
  const json::Value after = review.object["metadata"];
  const std::string_view annotation =
      FirstChange(before["annotations"], after["annotations"],
                  [this](std::string_view key) { return protected_.Has(key); });
  const std::string_view label = FirstChange(before["labels"], after["labels"], IsProtectedLabel);
  if (annotation.empty() && label.empty()) return {};
  return Deny(403, fmt::format("metadata.{}: {} says which devices a pod was given: HAMi's "
                               "scheduler and device plugins alone write it; leave it {}",
                               annotation.empty() ? "labels" : "annotations",
                               annotation.empty() ? label : annotation,
                               review.operation == "CREATE" ? "out" : "as it is"));
}

Answer PodAdmission::Validate(const Review& review) const {
  if (IsBinding(review)) return ValidateWritten(review);
  if (!IsPod(review) || (review.operation != "CREATE" && review.operation != "UPDATE")) return {};
  if (Answer refusal = ValidateWritten(review); !refusal.allowed) return refusal;
  if (review.operation != "CREATE" || !review.subresource.empty()) return {};
  Answer answer = Mutate(review);
  if (!answer.allowed) return answer;
  const json::Value spec = review.object["spec"];
  const std::string_view scheduler = spec["schedulerName"].Text();
  answer.patch.clear();
  answer.warnings.clear();  // the mutating webhook gave them
  answer.message.clear();
  if (options_.scheduler_name.empty() || scheduler == options_.scheduler_name ||
      !IsOurs(scheduler) || !NamesDevices(spec)) {
    return answer;
  }
  // The mutating webhook was not asked, so nothing would ever place this pod.
  return Deny(422, fmt::format("the pod asks for devices that {} alone can give; write "
                               "spec.schedulerName: {}",
                               options_.scheduler_name, options_.scheduler_name));
}

}  // namespace hami::webhook
