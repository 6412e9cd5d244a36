// SPDX-License-Identifier: Apache-2.0
//
// The label hami.io/scheduler-role on the scheduler's pods, `leader` or `follower`, by which HAMi's
// Service selects (contract hami-control-plane.md 1.12 and 2.5). Nothing of ours needs it: every
// replica serves the webhook. A leader labels itself and all others, because one that was cut off
// cannot take its own label back; who follows labels itself. One thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/periodic.h"
#include "base/result.h"
#include "extender/leadership.h"
#include "kube/client.h"

namespace hami::extender {

struct RoleOptions {
  std::string pod_namespace;
  std::string pod_name;  // this replica's pod
  int64_t round_ms = 250;
  int64_t look_again_ms = 15'000;  // of a leader: replicas come and go
};

class RoleLabels {
 public:
  // What is given outlives it.
  RoleLabels(const RoleOptions& options, kube::Client& client, const Leadership& leadership);
  RoleLabels(const RoleLabels&) = delete;
  RoleLabels& operator=(const RoleLabels&) = delete;

 private:
  void Look();
  int64_t LabelAs(bool leader, int64_t now_ns);
  Status LabelAll();
  Status Label(const std::string& pod, std::string_view role);

  const RoleOptions options_;
  kube::Client& client_;
  const Leadership& leadership_;
  std::optional<bool> led_;  // as it was labelled last
  int64_t due_ns_ = 0;
  base::Periodic rounds_;  // last: uses all others
};

}  // namespace hami::extender
