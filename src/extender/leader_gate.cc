// SPDX-License-Identifier: Apache-2.0

#include "extender/leader_gate.h"

#include <algorithm>
#include <utility>

#include "extender/leadership.h"

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;

// What of a Lease is a holding, by the contract between our replicas.
constexpr int64_t HoldingMs(int64_t duration_ms) { return duration_ms * 2 / 3; }

}  // namespace

bool IsHeldBy(const std::string& holder, std::string_view host) {
  const size_t line = holder.rfind('_');
  return !host.empty() && line != std::string::npos &&
         std::string_view(holder).substr(0, line) == host;
}

void LeaderGate::Observe(const std::optional<kube::Lease>& lease, After after, int64_t now_ns,
                         int64_t wall_ns) {
  const bool is_first_look = !std::exchange(has_looked_, true);
  const bool was_ours = IsNamed();
  const std::optional<kube::Lease> before = lease_;
  const bool had_run_out = was_ours && LeftOfMs(before->duration_s * 1000, now_ns, wall_ns) == 0;
  if (lease &&
      (!before || before->renewed_ns != lease->renewed_ns || before->holder != lease->holder)) {
    seen_ns_ = now_ns;
  }
  lease_ = lease;
  if (!lease_) return;
  if (!IsNamed()) {
    // Nobody's: who gave it up may still be writing, so its time counts to the end.
    if (!lease_->holder.empty()) {
      other_until_ns_ = std::max(other_until_ns_, seen_ns_ + HoldingMs(DurationMs()) * kMs);
    }
    return;
  }
  if (is_first_look) {
    other_until_ns_ = std::max(other_until_ns_, now_ns + kLongestWriteMs * kMs);
  }
  // Another kube-scheduler process of this host, or a lease that we had lost, is a new holding.
  if (!was_ours || before->holder != lease_->holder || had_run_out ||
      before->transitions != lease_->transitions) {
    const bool saw_before = after == After::kEverythingBefore && before &&
                            lease_->transitions - before->transitions <= 1;
    BeginTerm(saw_before, now_ns);
  }
}

// Whoever held it before us renewed it for the last time before we acquired it; when, we know only
// if we saw everything.
void LeaderGate::BeginTerm(bool saw_before, int64_t now_ns) {
  ++term_;
  if (saw_before || lease_->transitions == 0) return;
  const bool is_known = lease_->acquired_ns > 0 && lease_->renewed_ns > lease_->acquired_ns;
  const int64_t held_ns = is_known ? lease_->renewed_ns - lease_->acquired_ns : 0;
  other_until_ns_ = std::max(other_until_ns_, now_ns + HoldingMs(DurationMs()) * kMs - held_ns);
}

int64_t LeaderGate::LeftOfMs(int64_t length_ms, int64_t now_ns, int64_t wall_ns) const {
  if (!IsNamed()) return 0;
  const int64_t by_us = seen_ns_ + length_ms * kMs - now_ns;
  const int64_t by_holder = lease_->renewed_ns + length_ms * kMs - wall_ns;
  return std::max<int64_t>(std::min(by_us, by_holder) / kMs, 0);
}

int64_t LeaderGate::HeldLeftMs(int64_t now_ns, int64_t wall_ns) const {
  return LeftOfMs(HoldingMs(DurationMs()), now_ns, wall_ns);
}

int64_t LeaderGate::SilentMs(int64_t now_ns) const {
  return lease_ && !lease_->holder.empty() ? (now_ns - seen_ns_) / kMs : 0;
}

uint64_t LeaderGate::Term(int64_t now_ns, int64_t wall_ns) const {
  return HeldLeftMs(now_ns, wall_ns) > 0 ? term_ : 0;
}

int64_t LeaderGate::OtherLeftMs(int64_t now_ns) const {
  return std::max<int64_t>((other_until_ns_ - now_ns + kMs - 1) / kMs, 0);
}

void LeaderGate::NoteCaughtUp(uint64_t term) { caught_up_ = std::max(caught_up_, term); }

bool LeaderGate::MayDecide(int64_t now_ns, int64_t wall_ns) const {
  return LeftMs(now_ns, wall_ns) > 0;
}

int64_t LeaderGate::LeftMs(int64_t now_ns, int64_t wall_ns) const {
  const uint64_t term = Term(now_ns, wall_ns);
  return term != 0 && term == caught_up_ ? HeldLeftMs(now_ns, wall_ns) : 0;
}

std::string LeaderGate::Describe(int64_t now_ns, int64_t wall_ns) const {
  if (!lease_) return "there is no Lease of the kube-scheduler yet";
  if (lease_->holder.empty()) return "nobody holds the Lease of the kube-scheduler";
  const std::string held = "the Lease of the kube-scheduler is held by " + lease_->holder;
  if (!IsHeldBy(lease_->holder, host_)) return held + ", not on " + host_;
  const uint64_t term = Term(now_ns, wall_ns);
  if (term == 0) return held + " and has run out";
  if (OtherLeftMs(now_ns) > 0) return held + "; waiting until its holder before has no time left";
  if (term != caught_up_) return held + "; reading all pods";
  return held;
}

}  // namespace hami::extender
