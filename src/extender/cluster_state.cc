// SPDX-License-Identifier: Apache-2.0

#include "extender/cluster_state.h"

#include <algorithm>

#include "base/log.h"

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kClockSkewS = 60;  // of other schedulers' clocks

// Until a pod that was woken and did not come is woken again; doubles with each time.
constexpr int64_t kRewakeMs = 2'000;
constexpr int64_t kMaxRewakeMs = 60'000;

// Under which a decision is held whose bind was never answered, beside what the pod gets next.
std::string LateUid(const std::string& uid) { return uid + "/late"; }

bool SameHolding(const PodEntry& a, const PodEntry& b) {
  return a.bound == b.bound && a.over == b.over && a.facts.node == b.facts.node &&
         a.facts.slices == b.facts.slices && a.facts.init_done == b.facts.init_done;
}

// What decides where a pod fits, as a text.
std::string KindOf(const placement::Request& request) {
  std::string kind = request.namespace_name;
  const auto add = [&kind](int64_t number) { kind += '/' + std::to_string(number); };
  for (const placement::ContainerAsk& ask : request.containers) {
    add(static_cast<int64_t>(ask.kind));
    for (const vendor::Request& one : ask.requests) {
      add(one.vendor);
      add(one.count);
      add(one.memory_mib);
      add(one.memory_pct);
      add(one.cores);
      kind += one.shape.name;
    }
  }
  for (const auto& [key, value] : request.pod_annotations) kind += '\n' + key + '=' + value;
  for (const vendor::Selectors& selectors : request.selectors) {
    for (const auto* list :
         {&selectors.use_types, &selectors.avoid_types, &selectors.use_ids, &selectors.avoid_ids}) {
      kind += ';';
      for (const std::string& word : *list) kind += word + ',';
    }
    kind += selectors.modes;
  }
  return kind;
}

// Highest priority first, then who waits longest.
bool WaitsBefore(const WaitingPod* a, const WaitingPod* b) {
  if (a->priority != b->priority) return a->priority > b->priority;
  if (a->since_ns != b->since_ns) return a->since_ns < b->since_ns;
  return a->uid < b->uid;
}

}  // namespace

ClusterState::ClusterState(const vendor::Registry& registry, const base::Clock& clock,
                           const StateOptions& options)
    : clock_(clock), options_(options), cluster_(registry) {}

// --- What the API shows ---

void ClusterState::Replace(const std::vector<PodPointer>& all) {
  const std::lock_guard lock(mutex_);
  std::unordered_set<std::string> present;
  present.reserve(all.size());
  for (const PodPointer& pod : all) present.insert(pod->facts.uid);
  std::vector<std::string> gone;
  for (const auto& [uid, pod] : pods_) {
    if (!present.contains(uid)) gone.push_back(uid);
  }
  for (const std::string& uid : gone) RemovePod(uid);
  for (const PodPointer& pod : all) PutPod(pod);
}

void ClusterState::Replace(const std::vector<std::shared_ptr<const NodeEntry>>& all) {
  const std::lock_guard lock(mutex_);
  std::unordered_set<std::string_view> present;
  for (const auto& node : all) present.insert(node->facts.name);
  for (const std::string& name : cluster_.NodeNames()) {
    if (!present.contains(name)) RemoveNode(name);
  }
  for (const auto& node : all) PutNode(*node);
}

void ClusterState::Replace(const std::vector<std::shared_ptr<const QuotaEntry>>& all) {
  const std::lock_guard lock(mutex_);
  for (const kube::ObjectKey& key : quotas_) cluster_.RemoveQuota(key.name_space, key.name);
  quotas_.clear();
  for (const auto& quota : all) {
    cluster_.PutQuota(quota->facts);
    quotas_.insert(quota->key);
  }
  NoteRoomEverywhere();
}

void ClusterState::Put(PodPointer pod) {
  const std::lock_guard lock(mutex_);
  PutPod(pod);
}

void ClusterState::Put(std::shared_ptr<const NodeEntry> node) {
  const std::lock_guard lock(mutex_);
  PutNode(*node);
}

void ClusterState::Put(std::shared_ptr<const QuotaEntry> quota) {
  const std::lock_guard lock(mutex_);
  cluster_.PutQuota(quota->facts);
  quotas_.insert(quota->key);
  NoteRoomEverywhere();
}

void ClusterState::Delete(const kube::ObjectKey& key, const PodEntry* /*kind*/) {
  const std::lock_guard lock(mutex_);
  const auto found = uids_.find(key);
  if (found == uids_.end()) return;
  const std::string uid = found->second;
  RemovePod(uid);
}

void ClusterState::Delete(const kube::ObjectKey& key, const NodeEntry* /*kind*/) {
  const std::lock_guard lock(mutex_);
  RemoveNode(key.name);
}

void ClusterState::Delete(const kube::ObjectKey& key, const QuotaEntry* /*kind*/) {
  const std::lock_guard lock(mutex_);
  cluster_.RemoveQuota(key.name_space, key.name);
  quotas_.erase(key);
  NoteRoomEverywhere();
}

void ClusterState::PutPod(const PodPointer& pod) {
  const std::string& uid = pod->facts.uid;
  if (listing_) touched_.insert(uid);
  // A pod of the same name that came after another is another one.
  if (const auto known = uids_.find(pod->key); known != uids_.end() && known->second != uid) {
    const std::string before = known->second;
    RemovePod(before);
  }
  uids_[pod->key] = uid;
  PodPointer& kept = pods_[uid];
  if (kept != nullptr && !kept->problem.empty()) --unreadable_;
  if (!pod->problem.empty()) ++unreadable_;
  kept = pod;
  if (pod->bound || pod->over) {
    waiting_.erase(uid);
    if (const auto found = reservations_.find(uid); found != reservations_.end()) {
      const Reservation& reservation = found->second;
      if (pod->bound && (reservation.facts.node != pod->facts.node ||
                         reservation.facts.slices != pod->facts.slices)) {
        ++overridden_;
      }
      reservations_.erase(found);
    }
    if (reservations_.erase(LateUid(uid)) > 0) SetHeld(LateUid(uid), nullptr);
  }
  Refresh(uid);
}

void ClusterState::RemovePod(const std::string& uid) {
  if (listing_) touched_.insert(uid);
  if (const auto found = pods_.find(uid); found != pods_.end()) {
    if (!found->second->problem.empty()) --unreadable_;
    const auto known = uids_.find(found->second->key);
    if (known != uids_.end() && known->second == uid) uids_.erase(known);
    pods_.erase(found);
  }
  if (const auto found = reservations_.find(uid); found != reservations_.end()) {
    const auto known = uids_.find(found->second.pod);
    if (known != uids_.end() && known->second == uid) uids_.erase(known);
    reservations_.erase(found);
  }
  if (reservations_.erase(LateUid(uid)) > 0) SetHeld(LateUid(uid), nullptr);
  waiting_.erase(uid);
  foreign_.erase(uid);
  SetHeld(uid, nullptr);
}

void ClusterState::PutNode(const NodeEntry& node) {
  takes_binding_[node.facts.name] = node.takes_binding;
  if (node.taints.empty()) {
    taints_.erase(node.facts.name);
  } else {
    taints_[node.facts.name] = node.taints;
  }
  cluster_.PutNode(node.facts);
  NoteRoom(node.facts.name);
}

void ClusterState::RemoveNode(const std::string& name) {
  takes_binding_.erase(name);
  taints_.erase(name);
  cluster_.RemoveNode(name);
}

// What another decided lately; a time that is yet to come was made up.
bool ClusterState::IsFresh(int64_t decided_s) const {
  const int64_t age_s = clock_.WallNs() / (1000 * kMs) - decided_s;
  return age_s > -kClockSkewS && age_s < options_.foreign_ms / 1000;
}

void ClusterState::Refresh(const std::string& uid) {
  const auto found = pods_.find(uid);
  const PodEntry* pod = found == pods_.end() ? nullptr : found->second.get();
  foreign_.erase(uid);
  if (pod != nullptr && pod->over) return SetHeld(uid, nullptr);
  if (pod != nullptr && pod->bound) return SetHeld(uid, &pod->facts);
  if (const auto reserved = reservations_.find(uid); reserved != reservations_.end()) {
    return SetHeld(uid, &reserved->second.facts);
  }
  // Another scheduler's decision that it has not bound yet: it holds for a while.
  if (pod != nullptr && !pod->facts.node.empty() && !pod->facts.slices.empty() &&
      IsFresh(pod->decided_s)) {
    foreign_.insert(uid);
    return SetHeld(uid, &pod->facts);
  }
  SetHeld(uid, nullptr);
}

void ClusterState::SetHeld(const std::string& uid, const placement::PodFacts* facts) {
  const auto held = held_.find(uid);
  if (facts == nullptr) {
    if (held == held_.end()) return;
    cluster_.RemovePod(uid);
    NoteRoom(held->second.node);
    UncountPriority(held->second);
    held_.erase(held);
    return;
  }
  if (held != held_.end() &&
      (held->second.node != facts->node || held->second.slices > facts->slices.size() ||
       (facts->init_done && !held->second.init_done))) {
    NoteRoom(held->second.node);
  }
  if (facts->uid == uid) {
    cluster_.PutPod(*facts);
  } else {
    placement::PodFacts renamed = *facts;
    renamed.uid = uid;
    cluster_.PutPod(renamed);
  }
  Held& now = held_[uid];
  UncountPriority(now);
  now = {facts->node, facts->slices.size(), facts->init_done, facts->priority};
  if (now.slices > 0) ++priorities_[now.priority];
}

void ClusterState::UncountPriority(const Held& held) {
  if (held.slices == 0) return;
  const auto found = priorities_.find(held.priority);
  if (--found->second == 0) priorities_.erase(found);
}

void ClusterState::BeginList() {
  const std::lock_guard lock(mutex_);
  listing_ = true;
  touched_.clear();
}

bool ClusterState::IsDifferent(const PodPointer& listed) const {
  const std::string& uid = listed->facts.uid;
  if (touched_.contains(uid)) return false;
  const auto known = pods_.find(uid);
  if (known != pods_.end()) return !SameHolding(*known->second, *listed);
  return listed->bound && !listed->over;
}

std::vector<ClusterState::PodPointer> ClusterState::Differing(
    const std::vector<PodPointer>& listed) const {
  const std::lock_guard lock(mutex_);
  std::vector<PodPointer> differing;
  for (const PodPointer& pod : listed) {
    if (IsDifferent(pod)) differing.push_back(pod);
  }
  return differing;
}

size_t ClusterState::ApplyList(const std::vector<PodPointer>& differing) {
  const std::lock_guard lock(mutex_);
  listing_ = false;
  size_t applied = 0;
  for (const PodPointer& pod : differing) {
    if (!IsDifferent(pod)) continue;
    PutPod(pod);
    ++applied;
  }
  touched_.clear();
  return applied;
}

// --- Decisions ---

ClusterState::Placed ClusterState::Reserve(const placement::Request& request, const PodEntry& pod,
                                           std::span<const std::string_view> nodes) {
  const std::lock_guard lock(mutex_);
  const auto reserved = reservations_.find(pod.facts.uid);
  if (reserved != reservations_.end() && reserved->second.hold == Hold::kNominated &&
      std::ranges::find(nodes, reserved->second.facts.node) != nodes.end()) {
    placement::Decision there = cluster_.PlaceOn(request, reserved->second.facts.node);
    if (there.allocation) return Take(request, pod, std::move(there));
  }
  // No names are no nodes here; for placement they are all.
  if (nodes.empty()) return Take(request, pod, {});
  return Take(request, pod, cluster_.Place(request, nodes));
}

ClusterState::Placed ClusterState::ReserveOn(const placement::Request& request, const PodEntry& pod,
                                             std::string_view node) {
  const std::lock_guard lock(mutex_);
  return Take(request, pod, cluster_.PlaceOn(request, node));
}

ClusterState::Placed ClusterState::Take(const placement::Request& request, const PodEntry& pod,
                                        placement::Decision decision) {
  const std::string& uid = pod.facts.uid;
  Placed placed;
  const auto reserved = reservations_.find(uid);
  if (!decision.allocation) {
    NoteWaiting(request, pod);
    if (reserved != reservations_.end()) {
      placed.is_nominated = reserved->second.hold == Hold::kNominated;
      if (!placed.is_nominated) {
        reservations_.erase(reserved);
        Refresh(uid);
      }
    }
    placed.decision = std::move(decision);
    return placed;
  }
  if (const placement::NodeFacts* node = cluster_.FindNode(decision.allocation->node)) {
    placed.devices = node->devices;
  }
  Reservation& now = reservations_[uid];
  now = {};
  now.pod = pod.key;
  now.uid = uid;
  now.allocation = *decision.allocation;
  now.facts = pod.facts;
  now.facts.node = decision.allocation->node;
  now.facts.slices = decision.allocation->slices;
  now.hold = Hold::kReserved;
  now.until_ns = clock_.MonotonicNs() + options_.reserved_ms * kMs;
  uids_.try_emplace(pod.key, uid);
  waiting_.erase(uid);
  Refresh(uid);
  placed.decision = std::move(decision);
  return placed;
}

bool ClusterState::SetAnnotations(const std::string& uid,
                                  std::map<std::string, std::string> annotations,
                                  std::string allocation_id, bool grouped) {
  const std::lock_guard lock(mutex_);
  const auto found = reservations_.find(uid);
  if (found == reservations_.end()) return false;
  found->second.annotations = std::move(annotations);
  found->second.allocation_id = std::move(allocation_id);
  found->second.grouped = grouped;
  return true;
}

std::vector<placement::NodeScore> ClusterState::Fitting(const placement::Request& request,
                                                        const PodEntry& pod,
                                                        std::span<const std::string_view> nodes,
                                                        std::vector<placement::Misfit>* misfits) {
  const std::lock_guard lock(mutex_);
  std::vector<placement::NodeScore> fitting;
  if (!nodes.empty()) fitting = cluster_.Fitting(request, nodes, misfits);
  if (fitting.empty()) {
    NoteWaiting(request, pod);
  } else {
    waiting_.erase(pod.facts.uid);
  }
  return fitting;
}

// --- Binding ---

Result<Reservation> ClusterState::BeginBind(const std::string& uid, const std::string& node) {
  const std::lock_guard lock(mutex_);
  const auto found = reservations_.find(uid);
  if (found == reservations_.end() || found->second.facts.node != node ||
      found->second.hold == Hold::kNominated) {
    return Fail(Code::kNotFound, "no room is reserved for the pod on node " + node);
  }
  Reservation& reservation = found->second;
  if (reservation.hold != Hold::kReserved) {
    return Fail(Code::kAborted, "the pod is being bound already");
  }
  reservation.hold = Hold::kBinding;
  return reservation;
}

void ClusterState::EndBind(const std::string& uid, bool bound) {
  const std::lock_guard lock(mutex_);
  const auto found = reservations_.find(uid);
  if (found == reservations_.end()) return;  // its echo, or its end, was faster
  if (bound) {
    found->second.hold = Hold::kBound;
    found->second.until_ns = clock_.MonotonicNs() + options_.bound_ms * kMs;
    return;
  }
  reservations_.erase(found);
  Refresh(uid);
}

void ClusterState::EndBindUncertain(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const auto found = reservations_.find(uid);
  if (found == reservations_.end()) return;
  Reservation late = std::move(found->second);
  reservations_.erase(found);
  late.hold = Hold::kUncertain;
  late.until_ns = clock_.MonotonicNs() + options_.uncertain_ms * kMs;
  SetHeld(LateUid(uid), &late.facts);
  reservations_[LateUid(uid)] = std::move(late);
  Refresh(uid);
}

void ClusterState::Release(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (reservations_.erase(uid) > 0) Refresh(uid);
}

void ClusterState::Nominate(const PodEntry& pod, const domain::Allocation& allocation) {
  const std::lock_guard lock(mutex_);
  const auto known = pods_.find(pod.facts.uid);
  if (known != pods_.end() && (known->second->bound || known->second->over)) return;
  Reservation& now = reservations_[pod.facts.uid];
  now.pod = pod.key;
  now.uid = pod.facts.uid;
  now.allocation = allocation;
  now.facts = pod.facts;
  now.facts.node = allocation.node;
  now.facts.slices = allocation.slices;
  now.hold = Hold::kNominated;
  now.until_ns = clock_.MonotonicNs() + options_.nominated_ms * kMs;
  Refresh(pod.facts.uid);
}

// --- Time passes ---

std::vector<Reservation> ClusterState::Expire() {
  const std::lock_guard lock(mutex_);
  const int64_t now_ns = clock_.MonotonicNs();
  std::vector<Reservation> expired;
  for (auto it = reservations_.begin(); it != reservations_.end();) {
    const Hold hold = it->second.hold;
    if (it->second.until_ns > now_ns || (hold != Hold::kReserved && hold != Hold::kNominated)) {
      ++it;
      continue;
    }
    expired.push_back(std::move(it->second));
    it = reservations_.erase(it);
  }
  for (const Reservation& reservation : expired) Refresh(reservation.uid);
  expired_ += expired.size();
  // What other schedulers decided long ago and never bound.
  for (const std::string& uid : std::vector(foreign_.begin(), foreign_.end())) Refresh(uid);
  return expired;
}

std::vector<Reservation> ClusterState::Overdue() {
  const std::lock_guard lock(mutex_);
  const int64_t now_ns = clock_.MonotonicNs();
  std::vector<Reservation> overdue;
  for (const auto& [uid, reservation] : reservations_) {
    const Hold hold = reservation.hold;
    if (reservation.until_ns <= now_ns && (hold == Hold::kBound || hold == Hold::kUncertain)) {
      overdue.push_back(reservation);
    }
  }
  return overdue;
}

void ClusterState::Settle(const std::string& uid, const PodPointer& entry) {
  const std::lock_guard lock(mutex_);
  if (entry == nullptr) return RemovePod(uid);
  const auto drop = [this](const std::string& held_as, Hold hold) {
    const auto found = reservations_.find(held_as);
    if (found == reservations_.end() || found->second.hold != hold) return;
    reservations_.erase(found);
    SetHeld(held_as, nullptr);
  };
  if (!entry->bound) {
    drop(uid, Hold::kBound);
    drop(LateUid(uid), Hold::kUncertain);
  }
  PutPod(entry);
}

// --- Waiting pods ---

void ClusterState::NoteWaiting(const placement::Request& request, const PodEntry& pod) {
  const int64_t now_ns = clock_.MonotonicNs();
  WaitingPod& waiting = waiting_[pod.facts.uid];
  if (waiting.since_ns == 0) waiting.since_ns = now_ns;
  waiting.key = pod.key;
  waiting.uid = pod.facts.uid;
  waiting.request = request;
  waiting.kind = KindOf(request);
  waiting.priority = pod.facts.priority;
  waiting.tried_ns = now_ns;
  waiting.wakes = 0;
}

void ClusterState::NoteRoom(const std::string& node) {
  if (waiting_.empty()) return;
  room_nodes_.insert(node);
  if (signal_) signal_();
}

void ClusterState::NoteRoomEverywhere() {
  if (waiting_.empty()) return;
  room_everywhere_ = true;
  if (signal_) signal_();
}

void ClusterState::OnRoom(std::function<void()> signal) {
  const std::lock_guard lock(mutex_);
  signal_ = std::move(signal);
}

// A pod that was woken gets time to come: kube-scheduler lets pods rest between tries.
bool ClusterState::MayWake(const WaitingPod& pod, int64_t now_ns) const {
  if (reservations_.contains(pod.uid)) return false;  // room is being made for it
  if (pod.wakes == 0) return true;
  const int64_t pause_ms = std::min(kRewakeMs << std::min(pod.wakes - 1, 5), kMaxRewakeMs);
  return now_ns - pod.woken_ns >= pause_ms * kMs;
}

void ClusterState::NoteNeeds(const std::string& uid, domain::NodeNeeds needs,
                             std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(uid);
  if (found == waiting_.end()) return;
  found->second.needs = std::move(needs);
  found->second.kind += '\n';
  found->second.kind += text;
}

bool ClusterState::CanUse(const WaitingPod& pod, const std::string& node) const {
  const placement::NodeFacts* facts = cluster_.FindNode(node);
  if (facts == nullptr || !pod.needs.MetBy(node, facts->labels)) return false;
  const auto taints = taints_.find(node);
  return taints == taints_.end() || pod.needs.Tolerates(taints->second);
}

// On nodes that the pod can use: on all, or on those of `room`.
placement::Decision ClusterState::PlaceWaiting(const WaitingPod& pod, bool everywhere,
                                               std::span<const std::string_view> room) const {
  std::vector<std::string> all;
  std::vector<std::string_view> usable;
  if (everywhere) {
    if (pod.needs.TakesAnyLabels() && taints_.empty()) return cluster_.Place(pod.request, {});
    all = cluster_.NodeNames();
    usable.assign(all.begin(), all.end());
  } else {
    usable.assign(room.begin(), room.end());
  }
  std::erase_if(usable, [&](std::string_view node) { return !CanUse(pod, std::string(node)); });
  if (usable.empty()) return {};  // no names would be all
  return cluster_.Place(pod.request, usable);
}

std::vector<WaitingPod> ClusterState::TakeWakeable(size_t limit) {
  const std::lock_guard lock(mutex_);
  const std::set<std::string> names = std::exchange(room_nodes_, {});
  const bool everywhere = std::exchange(room_everywhere_, false);
  const std::vector<std::string_view> nodes(names.begin(), names.end());
  const int64_t now_ns = clock_.MonotonicNs();
  std::vector<const WaitingPod*> order;
  order.reserve(waiting_.size());
  for (const auto& [uid, pod] : waiting_) {
    if ((everywhere || !nodes.empty() || pod.wakes > 0) && MayWake(pod, now_ns)) {
      order.push_back(&pod);
    }
  }
  std::ranges::sort(order, WaitsBefore);
  std::vector<WaitingPod> wakeable;
  std::vector<std::string> tentative;
  std::set<std::pair<std::string_view, bool>> hopeless;  // once for pods that ask alike
  for (const WaitingPod* pod : order) {
    if (wakeable.size() >= limit) {
      room_nodes_.insert(names.begin(), names.end());
      room_everywhere_ = room_everywhere_ || everywhere;
      break;
    }
    const bool all = everywhere || pod->wakes > 0;
    if (hopeless.contains({pod->kind, all})) continue;
    const placement::Decision decision = PlaceWaiting(*pod, all, nodes);
    if (!decision.allocation) {
      hopeless.emplace(pod->kind, all);
      continue;
    }
    // So that the next one is not woken for the same room.
    placement::PodFacts facts;
    facts.uid = pod->uid + "/wake";
    facts.namespace_name = pod->key.name_space;
    facts.name = pod->key.name;
    facts.node = decision.allocation->node;
    for (const placement::ContainerAsk& ask : pod->request.containers) {
      facts.kinds.push_back(ask.kind);
    }
    facts.slices = decision.allocation->slices;
    cluster_.PutPod(facts);
    tentative.push_back(facts.uid);
    wakeable.push_back(*pod);
  }
  for (const std::string& uid : tentative) cluster_.RemovePod(uid);
  return wakeable;
}

void ClusterState::Forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  waiting_.erase(uid);
}

void ClusterState::NoteWoken(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(uid);
  if (found == waiting_.end()) return;
  found->second.woken_ns = clock_.MonotonicNs();
  ++found->second.wakes;
}

std::vector<WaitingPod> ClusterState::Waiting() const {
  const std::lock_guard lock(mutex_);
  std::vector<WaitingPod> all;
  all.reserve(waiting_.size());
  for (const auto& [uid, pod] : waiting_) all.push_back(pod);
  return all;
}

// --- Looking ---

bool ClusterState::TakesBinding(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto found = takes_binding_.find(node);
  return found != takes_binding_.end() && found->second;
}

bool ClusterState::HasNode(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  return cluster_.HasNode(node);
}

std::optional<Reservation> ClusterState::FindReservation(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = reservations_.find(uid);
  if (found == reservations_.end()) return std::nullopt;
  return found->second;
}

bool ClusterState::HasHolderBelow(int32_t priority) const {
  const std::lock_guard lock(mutex_);
  return !priorities_.empty() && priorities_.begin()->first < priority;
}

std::shared_ptr<const PodEntry> ClusterState::FindPod(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(uid);
  return found == pods_.end() ? nullptr : found->second;
}

StateFigures ClusterState::Figures() const {
  const std::lock_guard lock(mutex_);
  StateFigures figures;
  figures.nodes = cluster_.node_count();
  figures.pods = pods_.size();
  figures.waiting = waiting_.size();
  figures.unreadable_pods = unreadable_;
  for (const auto& [uid, reservation] : reservations_) ++figures.reservations[reservation.hold];
  figures.expired = expired_;
  figures.overridden = overridden_;
  return figures;
}

void ClusterState::Look(const std::function<void(const placement::Cluster&)>& look) const {
  const std::lock_guard lock(mutex_);
  look(cluster_);
}

}  // namespace hami::extender
