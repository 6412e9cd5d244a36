// SPDX-License-Identifier: Apache-2.0

#include "extender/waiting_pods.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;

// Until a pod that was woken and did not come is woken again; doubles with each time.
constexpr int64_t kRewakeMs = 2'000;
constexpr int64_t kMaxRewakeMs = 60'000;

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
  add(request.traits.has_deadline);
  add(request.traits.is_best_effort);
  kind += request.traits.priority_class;
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

// A pod that was woken gets time to come: kube-scheduler lets pods rest between tries.
bool MayWake(const WaitingPod& pod, int64_t now_ns) {
  if (pod.wakes == 0) return true;
  const int64_t pause_ms = std::min(kRewakeMs << std::min(pod.wakes - 1, 5), kMaxRewakeMs);
  return now_ns - pod.woken_ns >= pause_ms * kMs;
}

// One with a reservation is about to be bound; but a nominee waits until its victims have left.
bool Waits(const Reservation* reservation) {
  return reservation == nullptr || reservation->hold == Hold::kNominated;
}

bool CanUse(const WaitingPod& pod, std::string_view name, const NodeTaints& taints,
            const placement::Cluster& cluster) {
  const std::string node(name);
  const placement::NodeFacts* facts = cluster.FindNode(node);
  if (facts == nullptr || !pod.needs.MetBy(node, facts->labels)) return false;
  const auto found = taints.find(node);
  return found == taints.end() || pod.needs.Tolerates(found->second);
}

// Beside all but what the pod is promised itself.
bool FitsOn(const WaitingPod& pod, std::string_view node, const NodeTaints& taints,
            const placement::Cluster& cluster) {
  return CanUse(pod, node, taints, cluster) &&
         cluster.PlaceOn(pod.request, node).allocation.has_value();
}

// On the nodes that the pod can use, of all of them or of `room`.
placement::Decision Place(const WaitingPod& pod, bool everywhere,
                          std::span<const std::string_view> room, const NodeTaints& taints,
                          placement::Cluster* cluster) {
  if (everywhere && pod.needs.TakesAnyLabels() && taints.empty()) {
    return cluster->Place(pod.request, {});
  }
  std::vector<std::string> all;
  if (everywhere) all = cluster->NodeNames();
  std::vector<std::string_view> usable(room.begin(), room.end());
  if (everywhere) usable.assign(all.begin(), all.end());
  std::erase_if(usable,
                [&](std::string_view node) { return !CanUse(pod, node, taints, *cluster); });
  if (usable.empty()) return {};  // no names would be all
  return cluster->Place(pod.request, usable);
}

// What it would hold, under a uid of its own.
placement::PodFacts TentativeFacts(const WaitingPod& pod, const domain::Allocation& allocation) {
  placement::PodFacts facts;
  facts.uid = pod.uid + "/wake";
  facts.namespace_name = pod.key.name_space;
  facts.name = pod.key.name;
  facts.node = allocation.node;
  for (const placement::ContainerAsk& ask : pod.request.containers) facts.kinds.push_back(ask.kind);
  facts.slices = allocation.slices;
  facts.traits = pod.request.traits;
  return facts;
}

}  // namespace

void WaitingPods::Note(const placement::Request& request, const PodEntry& pod, int64_t now_ns) {
  WaitingPod& waiting = pods_[pod.facts.uid];
  if (waiting.since_ns == 0) waiting.since_ns = now_ns;
  waiting.key = pod.key;
  waiting.uid = pod.facts.uid;
  waiting.request = request;
  waiting.kind = KindOf(request);
  waiting.priority = pod.facts.priority;
  waiting.tried_ns = now_ns;
  waiting.wakes = 0;
}

void WaitingPods::NoteNeeds(const std::string& uid, domain::NodeNeeds needs,
                            std::string_view text) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) return;
  found->second.needs = std::move(needs);
  found->second.kind += '\n';
  found->second.kind += text;
}

void WaitingPods::NoteWoken(const std::string& uid, int64_t now_ns) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) return;
  found->second.woken_ns = now_ns;
  ++found->second.wakes;
}

void WaitingPods::NoteRoom(const std::string& node) {
  if (pods_.empty()) return;
  room_nodes_.insert(node);
  if (signal_) signal_();
}

void WaitingPods::NoteRoomEverywhere() {
  if (pods_.empty()) return;
  room_everywhere_ = true;
  if (signal_) signal_();
}

std::vector<WaitingPod> WaitingPods::TakeWakeable(size_t limit, int64_t now_ns,
                                                  const Reservations& reservations,
                                                  const NodeTaints& taints,
                                                  placement::Cluster* cluster) {
  const std::set<std::string> names = std::exchange(room_nodes_, {});
  const bool everywhere = std::exchange(room_everywhere_, false);
  const std::vector<std::string_view> nodes(names.begin(), names.end());
  std::vector<const WaitingPod*> order;
  order.reserve(pods_.size());
  for (const auto& [uid, pod] : pods_) {
    if (!everywhere && nodes.empty() && pod.wakes == 0) continue;
    if (Waits(reservations.Find(uid)) && MayWake(pod, now_ns)) order.push_back(&pod);
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
    const Reservation* nominated = reservations.Find(pod->uid);
    if (nominated != nullptr && FitsOn(*pod, nominated->facts.node, taints, *cluster)) {
      wakeable.push_back(*pod);  // its room is held already
      continue;
    }
    if (hopeless.contains({pod->kind, all})) continue;
    const placement::Decision decision = Place(*pod, all, nodes, taints, cluster);
    if (!decision.allocation) {
      hopeless.emplace(pod->kind, all);
      continue;
    }
    // So that the next one is not woken for the same room.
    const placement::PodFacts facts = TentativeFacts(*pod, *decision.allocation);
    cluster->PutPod(facts);
    tentative.push_back(facts.uid);
    wakeable.push_back(*pod);
  }
  for (const std::string& uid : tentative) cluster->RemovePod(uid);
  return wakeable;
}

std::vector<WaitingPod> WaitingPods::All() const {
  std::vector<WaitingPod> all;
  all.reserve(pods_.size());
  for (const auto& [uid, pod] : pods_) all.push_back(pod);
  return all;
}

}  // namespace hami::extender
