// SPDX-License-Identifier: Apache-2.0
//
// Plays arrivals and departures on the real placement code (placement/cluster.h). CPU and memory of
// nodes are checked here, as kube-scheduler does before it asks us. Deterministic but for the times
// that decisions take. One thread.

#pragma once

#include <functional>
#include <span>
#include <vector>

#include "placement/request.h"
#include "simulate/draw.h"
#include "simulate/outcome.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::simulate {

struct RunOptions {
  placement::Policy policy;
  // Pods without devices: by the policy too, as the published experiment does; else the node with
  // the most CPU and memory left, as kube-scheduler does with its defaults.
  bool native_by_policy = true;
  bool retry = false;    // who waits is tried again whenever somebody has left
  double warm_up_s = 0;  // means over time leave this out
  bool points = true;    // take Outcome::points
  // Called about every 200 decisions with how many of how many are done.
  std::function<void(size_t, size_t)> progress;
};

Outcome Run(const vendor::Registry& registry, const Scenario& scenario,
            std::span<const Arrival> arrivals, const RunOptions& options);

}  // namespace hami::simulate
