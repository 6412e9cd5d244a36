// SPDX-License-Identifier: Apache-2.0
//
// The metrics that HAMi's scheduler has about devices, pods and quotas (contract
// hami-control-plane.md 1.14): new names, and on demand those from before 2.9. All are read from
// the state when they are asked for, one node at a time, so that a scrape holds up no decision.

#pragma once

#include "extender/cluster_state.h"
#include "extender/leadership.h"
#include "metrics/metrics.h"
#include "vendor/registry.h"

namespace hami::extender {

// What is given outlives the metrics.
void AddStateMetrics(const vendor::Registry& registry, const ClusterState& state, bool legacy,
                     metrics::Registry* metrics);

// Reservations, waiting pods, who leads: ours.
void AddOwnMetrics(const ClusterState& state, const Leadership& leadership,
                   metrics::Registry* metrics);

}  // namespace hami::extender
