// SPDX-License-Identifier: Apache-2.0
//
// What has to be done as time passes, on one thread: reservations run out, bound pods that nobody
// saw are asked after, a Lease that came here is caught up with, all pods are compared with what is
// held.

#pragma once

#include <cstdint>
#include <functional>

#include "base/periodic.h"
#include "extender/cluster_state.h"
#include "extender/extender_metrics.h"
#include "extender/leader.h"
#include "kube/client.h"
#include "vendor/registry.h"

namespace hami::extender {

struct KeeperOptions {
  int64_t reconcile_ms = 600'000;
};

class Keeper {
 public:
  // `synced`: everything has been read once. What is given outlives it.
  Keeper(const KeeperOptions& options, kube::Client& client, const vendor::Registry& registry,
         ClusterState& state, Leader& leader, ExtenderMetrics& metrics,
         std::function<bool()> synced);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

 private:
  // One round; returns how long to wait for the next.
  int64_t Step();
  Status ReconcileNow();

  const KeeperOptions options_;
  kube::Client& client_;
  const vendor::Registry& registry_;
  ClusterState& state_;
  Leader& leader_;
  ExtenderMetrics& metrics_;
  const std::function<bool()> synced_;
  int64_t next_reconcile_ns_ = 0;
  bool was_synced_ = false;
  base::Periodic rounds_;  // last: uses all others
};

}  // namespace hami::extender
