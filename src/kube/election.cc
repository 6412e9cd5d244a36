// SPDX-License-Identifier: Apache-2.0

#include "kube/election.h"

#include <algorithm>
#include <utility>

namespace hami::kube {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;

// What a renewal changes. The object's version also changes with its labels.
bool IsSameHolding(const Lease& a, const Lease& b) {
  return a.holder == b.holder && a.duration_s == b.duration_s && a.acquired_ns == b.acquired_ns &&
         a.renewed_ns == b.renewed_ns && a.transitions == b.transitions;
}

}  // namespace

Election::Election(ElectionOptions options, net::Random random)
    : options_(std::move(options)), random_(std::move(random)) {}

Election::Step Election::Start() { return {.kind = Step::Kind::kRead}; }

void Election::Observe(const Lease& lease, int64_t now_ns) {
  if (!seen_ || !IsSameHolding(*seen_, lease)) seen_ns_ = now_ns;
  seen_ = lease;
  leads_ = leads_ && lease.holder == options_.identity;
}

Election::Step Election::Wait() const {
  if (leads_) return {.kind = Step::Kind::kWait, .delay_ms = options_.retry_ms};
  const int64_t most_ms = options_.retry_ms + options_.retry_ms * 12 / 10;
  return {.kind = Step::Kind::kWait,
          .delay_ms = net::RandomBetween(random_, options_.retry_ms, most_ms)};
}

Election::Step Election::Write(Step::Kind kind, Lease lease, int64_t now_ns, int64_t wall_ns) {
  lease.key = options_.lease;
  if (lease.holder != options_.identity) {
    lease.acquired_ns = wall_ns;
    if (kind == Step::Kind::kPatch) ++lease.transitions;
  }
  lease.holder = options_.identity;
  lease.duration_s = options_.lease_s;
  lease.renewed_ns = wall_ns;
  write_began_ns_ = now_ns;
  return {.kind = kind, .lease = std::move(lease)};
}

Election::Step Election::OnRead(const Result<Lease>& lease, int64_t now_ns, int64_t wall_ns) {
  is_first_write_ = false;
  if (!lease) {
    if (lease.error().code != Code::kNotFound) return Wait();
    return Write(Step::Kind::kCreate, Lease(), now_ns, wall_ns);
  }
  Observe(*lease, now_ns);
  const bool is_others = !lease->holder.empty() && lease->holder != options_.identity;
  if (is_others && seen_ns_ + lease->duration_s * kSecond > now_ns) return Wait();
  return Write(Step::Kind::kPatch, *lease, now_ns, wall_ns);
}

Election::Step Election::OnWritten(const Result<Lease>& lease, int64_t now_ns) {
  if (lease && lease->holder == options_.identity) {
    Observe(*lease, now_ns);
    leads_ = true;
    renewed_ns_ = write_began_ns_;
    return Wait();
  }
  // Somebody changed the object, perhaps only its labels.
  if (std::exchange(is_first_write_, false)) return {.kind = Step::Kind::kRead};
  return Wait();
}

Election::Step Election::OnWaited(int64_t now_ns, int64_t wall_ns) {
  if (leads_ && !IsLeader(now_ns)) leads_ = false;
  // A holder knows what stands there.
  is_first_write_ = leads_;
  if (leads_) return Write(Step::Kind::kPatch, *seen_, now_ns, wall_ns);
  return {.kind = Step::Kind::kRead};
}

int64_t Election::LeftMs(int64_t now_ns) const {
  if (!leads_) return 0;
  return std::max<int64_t>(options_.renew_deadline_ms - (now_ns - renewed_ns_) / kMs, 0);
}

const std::string& Election::holder() const {
  static const std::string kNobody;
  return seen_ ? seen_->holder : kNobody;
}

std::optional<Lease> Election::Release(int64_t now_ns, int64_t wall_ns) {
  if (!IsLeader(now_ns)) return std::nullopt;
  leads_ = false;
  Lease lease = *seen_;
  lease.holder.clear();
  lease.duration_s = 1;  // the API takes no 0
  lease.acquired_ns = lease.renewed_ns = wall_ns;
  return lease;
}

}  // namespace hami::kube
