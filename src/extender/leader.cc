// SPDX-License-Identifier: Apache-2.0

#include "extender/leader.h"

#include <limits>
#include <utility>

#include "base/log.h"

namespace hami::extender {

void Leader::Start(kube::Client& client) {
  if (!options_.elect) return;
  kube::ReflectorOptions lease = {.type = kube::kLeases};
  lease.list.name_space = options_.lease_namespace;
  lease.list.field_selector = "metadata.name=" + options_.lease_name;
  watch_ = std::make_unique<kube::Reflector<kube::Lease>>(client, lease, kube::ReadLease, this);
}

void Leader::OnReplace(std::vector<std::shared_ptr<const kube::Lease>> all) {
  const std::lock_guard lock(mutex_);
  gate_.Observe(all.empty() ? std::nullopt : std::optional(*all.front()), clock_.MonotonicNs(),
                clock_.WallNs());
}

void Leader::OnUpsert(std::shared_ptr<const kube::Lease> now) {
  const std::lock_guard lock(mutex_);
  gate_.Observe(*now, clock_.MonotonicNs(), clock_.WallNs());
}

void Leader::OnDelete(const kube::ObjectKey& /*key*/) {
  const std::lock_guard lock(mutex_);
  gate_.Observe(std::nullopt, clock_.MonotonicNs(), clock_.WallNs());
}

void Leader::NoteSynced() {
  const std::lock_guard lock(mutex_);
  synced_ = true;
}

bool Leader::CatchUp(const std::function<Status()>& read_all) {
  if (!options_.elect) return true;
  uint64_t term = 0;
  {
    const std::lock_guard lock(mutex_);
    const int64_t now_ns = clock_.MonotonicNs();
    const int64_t wall_ns = clock_.WallNs();
    term = gate_.Term(now_ns, wall_ns);
    if (!synced_ || term == 0 || gate_.OtherLeftMs(now_ns) > 0) return true;
    if (gate_.MayDecide(now_ns, wall_ns)) return true;
  }
  if (const Status read = read_all(); !read) {
    LOG_WARN_EVERY(5'000, "the Lease is here, but not all pods could be read yet",
                   Field("error", read.error()));
    return false;
  }
  const std::lock_guard lock(mutex_);
  gate_.NoteCaughtUp(term);
  LOG_INFO("leading", Field("term", term));
  return true;
}

int64_t Leader::LeftMs() const {
  const std::lock_guard lock(mutex_);
  if (!synced_) return 0;
  if (!options_.elect) return std::numeric_limits<int64_t>::max();
  return gate_.LeftMs(clock_.MonotonicNs(), clock_.WallNs());
}

std::string Leader::Describe() const {
  const std::lock_guard lock(mutex_);
  if (!synced_) return "nodes and pods are not all read yet";
  if (!options_.elect) return "there is no election";
  return gate_.Describe(clock_.MonotonicNs(), clock_.WallNs());
}

}  // namespace hami::extender
