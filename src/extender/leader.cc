// SPDX-License-Identifier: Apache-2.0

#include "extender/leader.h"

#include <chrono>
#include <limits>
#include <utility>

#include "base/log.h"

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
// How long a call waits for what will let us decide: the end of another's holding and a read of all
// pods where the Lease is here; else the news of a Lease that kube-scheduler has got already. Less
// than its patience with us (httpTimeout).
constexpr int64_t kTakeOverMs = 4'000;
constexpr int64_t kEchoMs = 300;

}  // namespace

void Leader::Start(kube::Client& client) {
  if (!options_.elect) return;
  kube::ReflectorOptions lease = {.type = kube::kLeases};
  lease.list.name_space = options_.lease_namespace;
  lease.list.field_selector = "metadata.name=" + options_.lease_name;
  watch_ = std::make_unique<kube::Reflector<kube::Lease>>(client, lease, kube::ReadLease, this);
}

void Leader::Observe(const std::optional<kube::Lease>& lease, LeaderGate::After after) {
  const std::lock_guard lock(mutex_);
  gate_.Observe(lease, after, clock_.MonotonicNs(), clock_.WallNs());
  changed_.notify_all();
}

void Leader::OnReplace(std::vector<std::shared_ptr<const kube::Lease>> all, uint64_t /*version*/) {
  Observe(all.empty() ? std::nullopt : std::optional(*all.front()), LeaderGate::After::kGap);
}

void Leader::OnUpsert(std::shared_ptr<const kube::Lease> now) {
  Observe(*now, LeaderGate::After::kEverythingBefore);
}

void Leader::OnDelete(const kube::ObjectKey& /*key*/, uint64_t /*version*/) {
  Observe(std::nullopt, LeaderGate::After::kEverythingBefore);
}

void Leader::NoteSynced() {
  const std::lock_guard lock(mutex_);
  synced_ = true;
  changed_.notify_all();
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
  changed_.notify_all();
  LOG_INFO("leading", Field("term", term));
  return true;
}

int64_t Leader::LeftNowMs() const {
  if (!synced_) return 0;
  if (!options_.elect) return std::numeric_limits<int64_t>::max();
  return gate_.LeftMs(clock_.MonotonicNs(), clock_.WallNs());
}

int64_t Leader::LeftMs() const {
  const std::lock_guard lock(mutex_);
  return LeftNowMs();
}

int64_t Leader::AwaitMs() const {
  std::unique_lock lock(mutex_);
  const int64_t begun_ns = clock_.MonotonicNs();
  while (true) {
    const int64_t left_ms = LeftNowMs();
    if (left_ms > 0) return left_ms;
    const int64_t patience_ms = gate_.IsNamed() ? kTakeOverMs : kEchoMs;
    const int64_t waited_ms = (clock_.MonotonicNs() - begun_ns) / kMs;
    if (!options_.elect || waited_ms >= patience_ms) return 0;
    changed_.wait_for(lock, std::chrono::milliseconds(patience_ms - waited_ms));
  }
}

Leader::LeaseAge Leader::Age() const {
  const std::lock_guard lock(mutex_);
  return {gate_.DurationMs(), gate_.SilentMs(clock_.MonotonicNs())};
}

std::string Leader::Describe() const {
  const std::lock_guard lock(mutex_);
  if (!synced_) return "nodes and pods are not all read yet";
  if (!options_.elect) return "there is no election";
  return gate_.Describe(clock_.MonotonicNs(), clock_.WallNs());
}

}  // namespace hami::extender
