// SPDX-License-Identifier: Apache-2.0
//
// Releases the kube-scheduler's Lease for a leader that is dead, so that another one takes it
// before it runs out (silent_leader.h, docs/adr/0021). Asks nothing while the watch shows renewals.
// Runs in every replica, also beside the holder; a write names the version that it changes, so one
// of them wins, and none wins against a renewal. A thread of its own.

#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/periodic.h"
#include "extender/extender_metrics.h"
#include "extender/leader.h"
#include "extender/silent_leader.h"
#include "kube/client.h"

namespace hami::extender {

class LeaseWarden {
 public:
  // What is given outlives it. Without election it does nothing.
  LeaseWarden(const LeaderOptions& options, kube::Client& client, const Leader& leader,
              ExtenderMetrics& metrics, const base::Clock& clock);
  LeaseWarden(const LeaseWarden&) = delete;
  LeaseWarden& operator=(const LeaseWarden&) = delete;

 private:
  // One round; returns how long to wait for the next.
  int64_t Step();
  void Look(int64_t duration_ms);
  void Release(const kube::Lease& lease, int64_t timeout_ms);

  const kube::ObjectKey lease_;
  kube::Client& client_;
  const Leader& leader_;
  ExtenderMetrics& metrics_;
  const base::Clock& clock_;
  SilentLeader judge_;
  std::optional<base::Periodic> rounds_;  // last: uses all others
};

}  // namespace hami::extender
