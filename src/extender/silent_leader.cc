// SPDX-License-Identifier: Apache-2.0

#include "extender/silent_leader.h"

#include <utility>

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;

}  // namespace

void SilentLeader::NoteLook(const kube::Lease& lease, int64_t now_ns) {
  const bool is_same = seen_ && seen_->resource_version == lease.resource_version;
  if (!is_same) {
    seen_ = lease;
    counted_ns_ = 0;
  } else if (answered_ns_ &&
             now_ns - *answered_ns_ <= LongestStepMs(lease.duration_s * 1000) * kMs) {
    counted_ns_ += now_ns - *answered_ns_;
  }
  answered_ns_ = now_ns;
}

std::optional<kube::Lease> SilentLeader::Dead() const {
  if (!seen_ || seen_->holder.empty()) return std::nullopt;
  if (counted_ns_ < DeadMs(seen_->duration_s * 1000) * kMs) return std::nullopt;
  return seen_;
}

int64_t SilentLeader::counted_ms() const { return seen_ ? counted_ns_ / kMs : 0; }

kube::Lease ReleasedLease(kube::Lease lease, int64_t wall_ns) {
  lease.holder.clear();
  lease.duration_s = 1;
  lease.acquired_ns = wall_ns;
  lease.renewed_ns = wall_ns;
  return lease;
}

}  // namespace hami::extender
