// SPDX-License-Identifier: Apache-2.0
//
// What happens to a pod before it is stored (contract hami-control-plane.md section 3, with its
// faults mended; the table of decisions is docs/reference/webhook.md). Pure but for spans: no
// request, nothing is kept, so a dry run is the real thing. Any thread.

#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "domain/pod.h"
#include "trace/tracer.h"
#include "vendor/registry.h"
#include "webhook/forged.h"
#include "webhook/review.h"

namespace hami::webhook {

// What else a pod with devices has to pass, as it will be stored. kResourceExhausted: its
// namespace's quota; the message is for the user.
using PodCheck = std::function<Status(const domain::Pod& pod)>;

struct AdmissionOptions {
  // Of our profile of kube-scheduler. Empty: pods keep theirs.
  std::string scheduler_name = "hami-scheduler";
  // Pods of default-scheduler become ours. Otherwise ours are those that say so themselves.
  bool force_overwrite_default_scheduler = true;
  // Who writes protected annotations: names of users, such as
  // "system:serviceaccount:hami-system:hami-scheduler".
  std::set<std::string, std::less<>> trusted_users;
  PodCheck check;  // none: passed
  // Where the trace of a pod begins that goes on to its bind; null: no traces.
  trace::Tracer* tracer = nullptr;
};

class PodAdmission {
 public:
  // The registry outlives it.
  PodAdmission(const vendor::Registry& registry, AdmissionOptions options);

  // For the mutating webhook. What is no creation of a pod is allowed as it is.
  Answer Mutate(const Review& review) const;

  // For a validating webhook: creation and update of pods, creation of bindings. Changes nothing;
  // what it denies it denies with what to write instead.
  Answer Validate(const Review& review) const;

 private:
  struct Draft;

  bool NamesDevices(const json::Value& spec) const;
  bool IsOurs(std::string_view scheduler_name) const;
  void Strip(Draft* draft) const;
  void HideDevices(Draft* draft, bool unless_extended) const;
  Answer MutateTraced(Draft draft) const;
  Answer MutateOurs(Draft draft) const;
  void TakeRequestsAsLimits(domain::PodContainer* container) const;
  void EqualRequests(domain::PodContainer* container) const;
  Answer CheckPod(const domain::Pod& pod) const;
  Answer ValidateWritten(const Review& review) const;

  const vendor::Registry& registry_;
  const AdmissionOptions options_;
  const ProtectedKeys protected_;
  std::set<std::string, std::less<>> resources_;  // names of ours
  // What a container without devices gets, by overwriteEnv.
  std::vector<std::pair<std::string, std::string>> no_devices_;
};

}  // namespace hami::webhook
