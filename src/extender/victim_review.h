// SPDX-License-Identifier: Apache-2.0
//
// Which of the victims that kube-scheduler's own preemption proposes are of use: it knows CPU and
// memory, and not whether devices come free. Any thread. Tests: preemption_test.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "extender/cluster_state.h"
#include "extender/patience.h"
#include "extender/wire.h"
#include "placement/request.h"
#include "vendor/registry.h"

namespace hami::extender {

class VictimReview {
 public:
  VictimReview(const vendor::Registry& registry, const base::Clock& clock,
               const ClusterState& state, int64_t patience_ms)
      : registry_(registry), clock_(clock), state_(state), patience_(patience_ms * 1'000'000) {}

  // The nodes on which the request fits once their victims are gone. A pod that lacks CPU as well
  // is tried again by kube-scheduler alone, when a pod goes, and kube-scheduler may have heard of
  // that before we have (ADR 0019). So where no node is of use, room gets up to `patience_ms` to
  // come, and a tenth of the time in the long run, because kube-scheduler waits too.
  std::vector<PreemptArgs::Node> Await(const placement::Request& request,
                                       std::span<const PreemptArgs::Node> nodes);

 private:
  std::vector<PreemptArgs::Node> Useful(const placement::Request& request,
                                        std::span<const PreemptArgs::Node> nodes) const;

  const vendor::Registry& registry_;
  const base::Clock& clock_;
  const ClusterState& state_;
  Patience patience_;
};

}  // namespace hami::extender
