// SPDX-License-Identifier: Apache-2.0

#include "extender/cluster_state.h"

#include <algorithm>
#include <utility>

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kClockSkewS = 60;  // of other schedulers' clocks

kube::ObjectKey KeyOf(const PodRecord& pod) {
  return {std::string(pod.name_space()), std::string(pod.name())};
}

}  // namespace

ClusterState::ClusterState(const vendor::Registry& registry, const base::Clock& clock,
                           const StateOptions& options)
    : clock_(clock), options_(options), holdings_(registry) {}

// --- What the API shows ---

void ClusterState::Replace(const std::vector<PodPointer>& all, uint64_t version) {
  const std::lock_guard lock(mutex_);
  for (const std::string& uid : pods_.Others(all)) {
    // What a leader's own list told after this one was made; the watch goes on from before it.
    const bool is_newer = version != 0 && pods_.Find(uid)->version() > version;
    if (!is_newer) RemovePod(uid);
  }
  pods_.Reserve(all.size());
  said_.NoteList(version);
  watched_ = version;
  for (const PodPointer& pod : all) {
    watched_ = std::max(watched_, pod->version());
    PutPod(pod);
  }
}

void ClusterState::Replace(const std::vector<std::shared_ptr<const NodeEntry>>& all,
                           uint64_t /*version*/) {
  const std::lock_guard lock(mutex_);
  std::unordered_set<std::string_view> present;
  for (const auto& node : all) present.insert(node->facts.name);
  for (const std::string& name : holdings_.cluster().NodeNames()) {
    if (!present.contains(name)) RemoveNode(name);
  }
  for (const auto& node : all) PutNode(*node);
}

void ClusterState::Replace(const std::vector<std::shared_ptr<const QuotaEntry>>& all,
                           uint64_t /*version*/) {
  const std::lock_guard lock(mutex_);
  placement::Cluster& cluster = holdings_.cluster();
  for (const kube::ObjectKey& key : quotas_) cluster.RemoveQuota(key.name_space, key.name);
  quotas_.clear();
  for (const auto& quota : all) {
    cluster.PutQuota(quota->facts);
    quotas_.insert(quota->key);
  }
  waiting_.NoteRoomEverywhere();
}

void ClusterState::Put(const PodPointer& pod) {
  const std::lock_guard lock(mutex_);
  watched_ = std::max(watched_, pod->version());
  PutPod(pod);
}

void ClusterState::Put(const std::shared_ptr<const NodeEntry>& node) {
  const std::lock_guard lock(mutex_);
  PutNode(*node);
}

void ClusterState::Put(const std::shared_ptr<const QuotaEntry>& quota) {
  const std::lock_guard lock(mutex_);
  holdings_.cluster().PutQuota(quota->facts);
  quotas_.insert(quota->key);
  waiting_.NoteRoomEverywhere();
}

void ClusterState::Delete(const kube::ObjectKey& key, uint64_t version, const PodRecord* /*kind*/) {
  const std::lock_guard lock(mutex_);
  watched_ = std::max(watched_, version);
  if (IsOutdated(key, version)) return;
  if (const PodRecord* pod = pods_.FindByKey(key)) {
    RemovePod(std::string(pod->uid()));
  } else if (const std::string* uid = reservations_.FindUid(key)) {
    RemovePod(std::string(*uid));
  }
}

void ClusterState::Delete(const kube::ObjectKey& key, uint64_t /*version*/,
                          const NodeEntry* /*kind*/) {
  const std::lock_guard lock(mutex_);
  RemoveNode(key.name);
}

void ClusterState::Delete(const kube::ObjectKey& key, uint64_t /*version*/,
                          const QuotaEntry* /*kind*/) {
  const std::lock_guard lock(mutex_);
  holdings_.cluster().RemoveQuota(key.name_space, key.name);
  quotas_.erase(key);
  waiting_.NoteRoomEverywhere();
}

bool ClusterState::IsOutdated(const kube::ObjectKey& key, uint64_t version) const {
  if (version == 0) return false;
  if (const PodRecord* known = pods_.FindByKey(key);
      known != nullptr && known->version() > version) {
    return true;
  }
  const std::string* uid = reservations_.FindUid(key);
  const Reservation* reservation = uid == nullptr ? nullptr : reservations_.Find(*uid);
  return reservation != nullptr && reservation->version > version;
}

void ClusterState::PutPod(const PodPointer& pod) {
  if (!IsOutdated(KeyOf(*pod), pod->version())) AcceptPod(pod);
}

void ClusterState::AcceptPod(const PodPointer& pod) {
  const std::string uid(pod->uid());
  const kube::ObjectKey key = KeyOf(*pod);
  said_.NoteObject(uid);
  // A pod of the same name that came after another is another one.
  const PodRecord* known = pods_.FindByKey(key);
  if (known != nullptr && known->uid() != uid) RemovePod(std::string(known->uid()));
  const std::string* reserved = reservations_.FindUid(key);
  if (reserved != nullptr && *reserved != uid) RemovePod(std::string(*reserved));
  bool is_news = true;
  if (const PodPointer before = pods_.Find(uid)) is_news = !(*before == *pod);
  if (pod->bound() || pod->over()) {
    waiting_.Erase(uid);
    if (const Reservation* reservation = reservations_.Find(uid)) {
      const bool as_reserved = reservation->facts.node == pod->node() &&
                               reservation->facts.slices == pod->Facts().slices;
      if (pod->bound() && !as_reserved) ++overridden_;
      reservations_.Erase(uid);
      is_news = true;
    }
    DropLate(uid);
  }
  pods_.Put(pod);
  if (is_news) Refresh(uid);  // a list that is read again has nothing else
}

void ClusterState::RemovePod(const std::string& uid) {
  said_.NoteObject(uid);
  pods_.Erase(uid);
  reservations_.Erase(uid);
  DropLate(uid);
  waiting_.Erase(uid);
  foreign_.erase(uid);
  RemoveHeld(uid);
}

void ClusterState::DropLate(const std::string& uid) {
  if (reservations_.EraseLate(uid)) RemoveHeld(LateUid(uid));
}

void ClusterState::PutNode(const NodeEntry& node) {
  takes_binding_[node.facts.name] = node.takes_binding;
  if (node.taints.empty()) {
    taints_.erase(node.facts.name);
  } else {
    taints_[node.facts.name] = node.taints;
  }
  holdings_.cluster().PutNode(node.facts);
  waiting_.NoteRoom(node.facts.name);
}

void ClusterState::RemoveNode(const std::string& name) {
  takes_binding_.erase(name);
  taints_.erase(name);
  holdings_.cluster().RemoveNode(name);
}

// What another decided lately; a time that is yet to come was made up.
bool ClusterState::IsFresh(int64_t decided_s) const {
  const int64_t age_s = clock_.WallNs() / (1000 * kMs) - decided_s;
  return age_s > -kClockSkewS && age_s < options_.foreign_ms / 1000;
}

void ClusterState::Refresh(const std::string& uid) {
  const PodPointer pod = pods_.Find(uid);
  foreign_.erase(uid);
  if (pod != nullptr && pod->over()) return RemoveHeld(uid);
  if (pod != nullptr && pod->bound()) return PutHeld(uid, pod->Facts());
  if (const Reservation* reserved = reservations_.Find(uid)) return PutHeld(uid, reserved->facts);
  // Another scheduler's decision that it has not bound yet: it holds for a while.
  if (pod != nullptr && !pod->node().empty() && pod->holds_devices() && IsFresh(pod->decided_s())) {
    foreign_.insert(uid);
    return PutHeld(uid, pod->Facts());
  }
  RemoveHeld(uid);
}

void ClusterState::PutHeld(const std::string& uid, placement::PodFacts facts) {
  if (const auto room = holdings_.Put(uid, std::move(facts))) NoteRoom(*room);
}

void ClusterState::RemoveHeld(const std::string& uid) {
  if (const auto room = holdings_.Remove(uid)) NoteRoom(*room);
}

void ClusterState::NoteRoom(const std::string& node) {
  ++room_count_;
  waiting_.NoteRoom(node);
}

void ClusterState::BeginList() {
  const std::lock_guard lock(mutex_);
  said_.Begin();
}

bool ClusterState::IsDifferent(const PodRecord& listed) const {
  if (said_.Has(listed.uid(), listed.version())) return false;
  if (const PodPointer known = pods_.Find(listed.uid())) return !known->HoldsLike(listed);
  return listed.bound() && !listed.over();
}

bool ClusterState::Differs(const PodRecord& listed) const {
  const std::lock_guard lock(mutex_);
  return IsDifferent(listed);
}

ClusterState::Differences ClusterState::ApplyList(const std::vector<PodPointer>& differing) {
  const std::lock_guard lock(mutex_);
  Differences differences;
  for (const PodPointer& pod : differing) {
    if (!IsDifferent(*pod)) continue;
    // Of what the watch did not touch meanwhile the list knows the latest, also if numbers of
    // versions went back because etcd was restored.
    AcceptPod(pod);
    ++(pod->version() > watched_ ? differences.behind : differences.drift);
  }
  said_.End();
  return differences;
}

// --- Decisions ---

ClusterState::Placed ClusterState::Reserve(const placement::Request& request, const PodEntry& pod,
                                           std::span<const std::string_view> nodes) {
  const std::lock_guard lock(mutex_);
  const Reservation* reserved = reservations_.Find(pod.facts.uid);
  if (reserved != nullptr && reserved->hold == Hold::kNominated &&
      std::ranges::find(nodes, reserved->facts.node) != nodes.end()) {
    placement::Decision there = holdings_.cluster().PlaceOn(request, reserved->facts.node);
    if (there.allocation) return Take(request, pod, std::move(there));
  }
  // No names are no nodes here; for placement they are all.
  if (nodes.empty()) return Take(request, pod, {});
  return Take(request, pod, holdings_.cluster().Place(request, nodes));
}

ClusterState::Placed ClusterState::ReserveOn(const placement::Request& request, const PodEntry& pod,
                                             std::string_view node) {
  const std::lock_guard lock(mutex_);
  return Take(request, pod, holdings_.cluster().PlaceOn(request, node));
}

ClusterState::Placed ClusterState::Take(const placement::Request& request, const PodEntry& pod,
                                        placement::Decision decision) {
  const std::string& uid = pod.facts.uid;
  Placed placed;
  if (!decision.allocation) {
    waiting_.Note(request, pod, clock_.MonotonicNs());
    if (const Reservation* reserved = reservations_.Find(uid)) {
      placed.is_nominated = reserved->hold == Hold::kNominated;
      if (!placed.is_nominated) Drop(uid);
    }
    placed.decision = std::move(decision);
    return placed;
  }
  if (const placement::NodeFacts* node = holdings_.cluster().FindNode(decision.allocation->node)) {
    placed.devices = node->devices;
  }
  // A decision that is written, or is being written, stands until the API shows the pod: its room
  // is held beside what the pod gets now.
  const Reservation* before = reservations_.Find(uid);
  if (before != nullptr && (before->hold == Hold::kBinding || before->hold == Hold::kBound)) {
    const int64_t until_ns = clock_.MonotonicNs() + options_.uncertain_ms * kMs;
    PutHeld(LateUid(uid), reservations_.MakeLate(uid, until_ns)->facts);
  }
  Keep(pod, *decision.allocation, Hold::kReserved, options_.reserved_ms);
  waiting_.Erase(uid);
  placed.decision = std::move(decision);
  return placed;
}

bool ClusterState::SetAnnotations(const std::string& uid,
                                  std::map<std::string, std::string> annotations,
                                  std::string allocation_id, bool grouped) {
  const std::lock_guard lock(mutex_);
  Reservation* reservation = reservations_.Find(uid);
  if (reservation == nullptr) return false;
  reservation->annotations = std::move(annotations);
  reservation->allocation_id = std::move(allocation_id);
  reservation->grouped = grouped;
  return true;
}

std::vector<placement::NodeScore> ClusterState::Fitting(const placement::Request& request,
                                                        const PodEntry& pod,
                                                        std::span<const std::string_view> nodes,
                                                        std::vector<placement::Misfit>* misfits) {
  const std::lock_guard lock(mutex_);
  std::vector<placement::NodeScore> fitting;
  if (!nodes.empty()) fitting = holdings_.cluster().Fitting(request, nodes, misfits);
  if (fitting.empty()) {
    waiting_.Note(request, pod, clock_.MonotonicNs());
  } else {
    waiting_.Erase(pod.facts.uid);
  }
  return fitting;
}

// --- Binding ---

Result<Reservation> ClusterState::BeginBind(const std::string& uid, const std::string& node) {
  const std::lock_guard lock(mutex_);
  Reservation* reservation = reservations_.Find(uid);
  if (reservation == nullptr || reservation->facts.node != node ||
      reservation->hold == Hold::kNominated) {
    return Fail(Code::kNotFound, "no room is reserved for the pod on node " + node);
  }
  if (reservation->hold != Hold::kReserved) {
    return Fail(Code::kAborted, "the pod is being bound already");
  }
  reservation->hold = Hold::kBinding;
  return *reservation;
}

void ClusterState::EndBind(const std::string& uid, bool bound) {
  const std::lock_guard lock(mutex_);
  Reservation* reservation = reservations_.Find(uid);
  if (reservation == nullptr) return;  // its echo, or its end, was faster
  if (!bound) return Drop(uid);
  reservation->hold = Hold::kBound;
  reservation->until_ns = clock_.MonotonicNs() + options_.bound_ms * kMs;
}

void ClusterState::EndBindUncertain(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const int64_t until_ns = clock_.MonotonicNs() + options_.uncertain_ms * kMs;
  const Reservation* late = reservations_.MakeLate(uid, until_ns);
  if (late == nullptr) return;
  PutHeld(LateUid(uid), late->facts);
  Refresh(uid);
}

void ClusterState::Release(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  Drop(uid);
}

void ClusterState::Drop(const std::string& uid) {
  if (reservations_.Erase(uid)) Refresh(uid);
}

void ClusterState::Keep(const PodEntry& pod, const domain::Allocation& allocation, Hold hold,
                        int64_t for_ms) {
  Reservation now;
  now.pod = pod.key;
  now.uid = pod.facts.uid;
  now.version = pod.version;
  now.allocation = allocation;
  now.facts = pod.facts;
  now.facts.node = allocation.node;
  now.facts.slices = allocation.slices;
  now.hold = hold;
  now.until_ns = clock_.MonotonicNs() + for_ms * kMs;
  reservations_.Put(std::move(now));
  Refresh(pod.facts.uid);
}

bool ClusterState::Waits(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  return IsWaiting(uid);
}

bool ClusterState::IsWaiting(const std::string& uid) const {
  return waiting_.Has(uid) && reservations_.Find(uid) == nullptr;
}

bool ClusterState::Nominate(const PodEntry& pod, const domain::Allocation& allocation) {
  const std::lock_guard lock(mutex_);
  if (!IsWaiting(pod.facts.uid)) return false;
  Keep(pod, allocation, Hold::kNominated, options_.nominated_ms);
  return true;
}

// --- Time passes ---

std::vector<Reservation> ClusterState::Expire() {
  const std::lock_guard lock(mutex_);
  std::vector<Reservation> expired = reservations_.TakeExpired(clock_.MonotonicNs());
  for (const Reservation& reservation : expired) Refresh(reservation.uid);
  expired_ += expired.size();
  // What other schedulers decided long ago and never bound.
  for (const std::string& uid : std::vector(foreign_.begin(), foreign_.end())) Refresh(uid);
  return expired;
}

std::vector<Reservation> ClusterState::Overdue() {
  const std::lock_guard lock(mutex_);
  return reservations_.Overdue(clock_.MonotonicNs());
}

void ClusterState::Settle(const std::string& uid, const PodPointer& pod) {
  const std::lock_guard lock(mutex_);
  if (pod == nullptr) return RemovePod(uid);
  // The watch is beyond this version and has no such pod: it went while it was asked after. The
  // next answer says so.
  if (pods_.Find(uid) == nullptr && pod->version() != 0 && pod->version() <= watched_) return;
  if (!pod->bound()) {
    const Reservation* reservation = reservations_.Find(uid);
    if (reservation != nullptr && reservation->hold == Hold::kBound) reservations_.Erase(uid);
    DropLate(uid);
  }
  PutPod(pod);
  Refresh(uid);
}

// --- Waiting pods ---

void ClusterState::OnRoom(std::function<void()> signal) {
  const std::lock_guard lock(mutex_);
  waiting_.OnRoom(std::move(signal));
}

void ClusterState::NoteNeeds(const std::string& uid, domain::NodeNeeds needs,
                             std::string_view text) {
  const std::lock_guard lock(mutex_);
  waiting_.NoteNeeds(uid, std::move(needs), text);
}

std::vector<WaitingPod> ClusterState::TakeWakeable(size_t limit) {
  const std::lock_guard lock(mutex_);
  return waiting_.TakeWakeable(limit, clock_.MonotonicNs(), reservations_, taints_,
                               &holdings_.cluster());
}

void ClusterState::Forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  waiting_.Erase(uid);
}

void ClusterState::NoteWoken(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  waiting_.NoteWoken(uid, clock_.MonotonicNs());
}

std::vector<WaitingPod> ClusterState::Waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.All();
}

// --- Looking ---

bool ClusterState::TakesBinding(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto found = takes_binding_.find(node);
  return found != takes_binding_.end() && found->second;
}

bool ClusterState::HasNode(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  return holdings_.cluster().HasNode(node);
}

std::optional<Reservation> ClusterState::FindReservation(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const Reservation* reservation = reservations_.Find(uid);
  if (reservation == nullptr) return std::nullopt;
  return *reservation;
}

bool ClusterState::HasHolderBelow(int32_t priority) const {
  const std::lock_guard lock(mutex_);
  return holdings_.HasBelow(priority);
}

std::shared_ptr<const PodEntry> ClusterState::FindPod(const std::string& uid) const {
  PodPointer pod;
  {
    const std::lock_guard lock(mutex_);
    pod = pods_.Find(uid);
  }
  return pod == nullptr ? nullptr : std::make_shared<const PodEntry>(pod->Unpack());
}

StateFigures ClusterState::Figures() const {
  const std::lock_guard lock(mutex_);
  StateFigures figures;
  figures.nodes = holdings_.cluster().node_count();
  figures.pods = pods_.size();
  figures.waiting = waiting_.size();
  figures.unreadable_pods = pods_.unreadable();
  figures.reservations = reservations_.Count();
  figures.expired = expired_;
  figures.overridden = overridden_;
  return figures;
}

void ClusterState::Look(const std::function<void(const placement::Cluster&)>& look) const {
  const std::lock_guard lock(mutex_);
  look(holdings_.cluster());
}

}  // namespace hami::extender
