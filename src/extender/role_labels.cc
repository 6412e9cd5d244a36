// SPDX-License-Identifier: Apache-2.0

#include "extender/role_labels.h"

#include <fmt/format.h>

#include <limits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "domain/names.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kRequestTimeoutMs = 5'000;
constexpr int64_t kAfterFailureMs = 5'000;

std::string RolePatch(std::string_view role) {
  base::JsonWriter json;
  json.BeginObject().Key("metadata").BeginObject().Key("labels").BeginObject();
  json.Member(domain::kSchedulerRole, role);
  json.EndObject().EndObject().EndObject();
  return std::move(json).Take();
}

}  // namespace

RoleLabels::RoleLabels(const RoleOptions& options, kube::Client& client,
                       const Leadership& leadership)
    : options_(options), client_(client), leadership_(leadership), rounds_([this] {
        Look();
        return options_.round_ms;
      }) {}

void RoleLabels::Look() {
  const bool leads = leadership_.LeftMs() > 0;
  const int64_t now_ns = base::SystemClock().MonotonicNs();
  if (led_ != leads) due_ns_ = now_ns;
  led_ = leads;
  if (now_ns >= due_ns_) due_ns_ = LabelAs(leads, now_ns);
}

// Returns when to do it again, if the role stays.
int64_t RoleLabels::LabelAs(bool leader, int64_t now_ns) {
  const Status done =
      leader ? LabelAll() : Label(options_.pod_name, domain::kSchedulerRoleFollower);
  if (done) {
    return leader ? now_ns + options_.look_again_ms * kMs : std::numeric_limits<int64_t>::max();
  }
  LOG_WARN_EVERY(60'000, "cannot label the scheduler's pods with their role",
                 Field("error", done.error()));
  return now_ns + kAfterFailureMs * kMs;
}

Status RoleLabels::LabelAll() {
  std::vector<std::pair<std::string, std::string_view>> wrong;  // pod, role
  kube::ListOptions replicas;
  replicas.name_space = options_.pod_namespace;
  replicas.label_selector =
      fmt::format("{}={}", domain::kComponentLabel, domain::kSchedulerComponent);
  const Result<std::string> version = client_.List(
      kube::kPods, replicas,
      [&](json::Value pod) -> Status {
        const json::Value metadata = pod["metadata"];
        const std::string_view name = metadata["name"].Text();
        const std::string_view role = name == options_.pod_name ? domain::kSchedulerRoleLeader
                                                                : domain::kSchedulerRoleFollower;
        if (metadata["labels"][std::string(domain::kSchedulerRole)].Text() != role) {
          wrong.emplace_back(name, role);
        }
        return {};
      },
      [&wrong] { wrong.clear(); });
  if (!version) return Fail(Error(version.error()).Wrap("list the scheduler's pods"));
  for (const auto& [pod, role] : wrong) {
    if (leadership_.LeftMs() <= 0) return Fail(Code::kAborted, "no longer the leader");
    const Status labelled = Label(pod, role);
    if (!labelled && labelled.error().code != Code::kNotFound) return labelled;
  }
  return {};
}

Status RoleLabels::Label(const std::string& pod, std::string_view role) {
  const kube::ObjectKey key = {options_.pod_namespace, pod};
  RETURN_IF_ERROR(kube::CheckKey(key));
  kube::ApiRequest patch =
      kube::PatchRequest(kube::kPods, key, kube::PatchKind::kMerge, RolePatch(role));
  patch.timeout_ms = kRequestTimeoutMs;
  const Result<std::string> answer = client_.Do(std::move(patch));
  if (!answer) return Fail(Error(answer.error()));
  return {};
}

}  // namespace hami::extender
