// SPDX-License-Identifier: Apache-2.0

#include "extender/leader_gate.h"

#include <algorithm>

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;

}  // namespace

bool IsHeldBy(const std::string& holder, std::string_view host) {
  const size_t line = holder.rfind('_');
  return !host.empty() && line != std::string::npos &&
         std::string_view(holder).substr(0, line) == host;
}

void LeaderGate::Observe(const std::optional<kube::Lease>& lease, int64_t now_ns, int64_t wall_ns) {
  const bool was_ours = lease_ && IsHeldBy(lease_->holder, host_);
  const std::string before = lease_ ? lease_->holder : "";
  const bool had_run_out = was_ours && HeldLeftMs(now_ns, wall_ns) == 0;
  if (lease && (!lease_ || lease_->renewed_ns != lease->renewed_ns || before != lease->holder)) {
    seen_ns_ = now_ns;
  }
  lease_ = lease;
  if (!lease_) return;
  if (!IsHeldBy(lease_->holder, host_)) {
    // Nobody's: who gave it up may still be writing, so its time counts to the end.
    if (!lease_->holder.empty()) {
      other_until_ns_ = std::max(other_until_ns_, seen_ns_ + lease_->duration_s * kSecond);
    }
    return;
  }
  // Another kube-scheduler process of this host, or a lease that we had lost, is a new holding.
  if (!was_ours || before != lease_->holder || had_run_out) ++term_;
}

int64_t LeaderGate::HeldLeftMs(int64_t now_ns, int64_t wall_ns) const {
  if (!lease_ || !IsHeldBy(lease_->holder, host_)) return 0;
  const int64_t by_us = seen_ns_ + lease_->duration_s * kSecond - now_ns;
  const int64_t by_holder = lease_->renewed_ns + lease_->duration_s * kSecond - wall_ns;
  return std::max<int64_t>(std::min(by_us, by_holder) / kMs, 0);
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
