// SPDX-License-Identifier: Apache-2.0

#include "extender/keeper.h"

#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "extender/reconcile.h"

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
// A new leader places its first pod this much later, and nobody notices the work of a round.
constexpr int64_t kRoundMs = 50;
// How far the watch may lie behind a list without that being drift.
constexpr int64_t kPatienceMs = 3'000;

}  // namespace

Keeper::Keeper(const KeeperOptions& options, kube::Client& client, const vendor::Registry& registry,
               ClusterState& state, Leader& leader, ExtenderMetrics& metrics,
               std::function<bool()> synced)
    : options_(options),
      client_(client),
      registry_(registry),
      state_(state),
      leader_(leader),
      metrics_(metrics),
      synced_(std::move(synced)),
      rounds_([this] { return Step(); }) {}

Status Keeper::ReconcileNow() {
  const auto patience = [this] { rounds_.Pause(kPatienceMs); };
  const auto differing = Reconcile(client_, registry_, patience, &state_);
  metrics_.NoteReconcile(differing.has_value());
  if (!differing) return Fail(Error(differing.error()));
  metrics_.NoteDrift(static_cast<double>(differing->drift), static_cast<double>(differing->behind));
  if (differing->drift > 0) {
    LOG_ERROR("pods were held otherwise than the API says", Field("count", differing->drift));
  }
  if (differing->behind > 0) {
    LOG_WARN("the watch of pods lags; what it has not said was read",
             Field("pods", differing->behind));
  }
  next_reconcile_ns_ = base::SystemClock().MonotonicNs() + options_.reconcile_ms * kMs;
  return {};
}

int64_t Keeper::Step() {
  if (!was_synced_) {
    if (!synced_()) return kRoundMs;
    was_synced_ = true;
    leader_.NoteSynced();
    next_reconcile_ns_ = base::SystemClock().MonotonicNs() + options_.reconcile_ms * kMs;
    const StateFigures figures = state_.Figures();
    LOG_INFO("everything is read", Field("nodes", figures.nodes), Field("pods", figures.pods));
  }
  leader_.CatchUp([this]() -> Status {
    // What the watch had not said yet is no drift here.
    const auto read = Reconcile(client_, registry_, [] {}, &state_);
    if (!read) return Fail(Error(read.error()));
    return {};
  });
  for (const Reservation& reservation : state_.Expire()) {
    LOG_WARN("a reservation ran out unused", Field("pod", reservation.pod.Text()),
             Field("node", reservation.facts.node));
  }
  AskAfter(client_, registry_, state_.Overdue(), &state_);
  if (base::SystemClock().MonotonicNs() >= next_reconcile_ns_) {
    if (!ReconcileNow()) next_reconcile_ns_ = base::SystemClock().MonotonicNs() + 10'000 * kMs;
  }
  return kRoundMs;
}

}  // namespace hami::extender
