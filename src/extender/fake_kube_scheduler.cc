// SPDX-License-Identifier: Apache-2.0

#include "extender/fake_kube_scheduler.h"

#include <algorithm>
#include <utility>

#include "base/timestamp.h"

namespace hami::extender {

using Json = FakeApi::Json;

FakeKubeScheduler::FakeKubeScheduler(FakeApi& api, const base::Clock& clock, std::string lease_path,
                                     std::string identity)
    : api_(api),
      clock_(clock),
      lease_path_(std::move(lease_path)),
      identity_(std::move(identity)) {}

bool FakeKubeScheduler::IsBinding(const std::string& uid) const {
  return std::ranges::any_of(binds_, [&](const PendingBind& bind) { return bind.uid == uid; });
}

void FakeKubeScheduler::Write(const std::string& holder, int64_t duration_ms, bool is_new) {
  Json lease = api_.Get(lease_path_);
  const std::string now = base::FormatMicroTimestamp(clock_.WallNs());
  if (lease.is_null()) {
    lease = {{"metadata", {{"name", "hami-scheduler"}, {"namespace", "hami-system"}}},
             {"spec", {{"leaseTransitions", 0}}}};
  } else if (is_new) {
    lease["spec"]["leaseTransitions"] = lease["spec"]["leaseTransitions"].get<int>() + 1;
  }
  Json& spec = lease["spec"];
  spec["holderIdentity"] = holder;
  spec["leaseDurationSeconds"] = duration_ms / 1000;
  spec["renewTime"] = now;
  if (is_new) spec["acquireTime"] = now;
  api_.Put(lease_path_, lease);
}

bool FakeKubeScheduler::Elect() {
  if (leads_ && NowMs() - renewed_ms_ >= kRenewDeadlineMs) {
    // It was stopped, or cut off, for too long.
    leads_ = false;
    return false;
  }
  const Json lease = api_.Get(lease_path_);
  const std::string holder = lease.is_null() ? "" : lease["spec"]["holderIdentity"];
  if (holder == identity_) {
    Write(identity_, kLeaseMs, false);
    renewed_ms_ = NowMs();
    return true;
  }
  if (leads_) {
    leads_ = false;
    return false;
  }
  if (!holder.empty()) {
    const std::string record = lease["spec"].dump();
    if (record != seen_) {
      seen_ = record;
      seen_ms_ = NowMs();
    }
    if (NowMs() - seen_ms_ <= kLeaseMs) return true;
  }
  Write(identity_, kLeaseMs, true);
  renewed_ms_ = NowMs();
  leads_ = true;
  return true;
}

void FakeKubeScheduler::ReleaseLease() {
  const Json lease = api_.Get(lease_path_);
  if (leads_ && !lease.is_null() && lease["spec"]["holderIdentity"] == identity_) {
    Write("", 1'000, false);
  }
  leads_ = false;
}

}  // namespace hami::extender
