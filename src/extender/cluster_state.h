// SPDX-License-Identifier: Apache-2.0
//
// The cluster as the extender decides on it: what the API shows, and reservations, which it does
// not show yet. Its parts, each in a file of its own, are PodTable (what the API shows),
// Reservations, Holdings (what the cluster should hold of both) and WaitingPods. One mutex: a
// decision and its reservation are one step, so callers at once never get the same room. No I/O;
// time is passed in (monotonic unless it says wall). Any thread.
//
// Where the API and a reservation speak of the same pod: a pod on a node is where it is, whatever
// was reserved; one that is on no node holds its reservation. A pod is known by its uid.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "extender/holdings.h"
#include "extender/object_feed.h"
#include "extender/objects.h"
#include "extender/pod_table.h"
#include "extender/reservations.h"
#include "extender/said_since.h"
#include "extender/waiting_pods.h"
#include "kube/reflector.h"
#include "placement/cluster.h"

namespace hami::extender {

struct StateOptions {
  int64_t reserved_ms = 30'000;    // from a filter to its bind
  int64_t bound_ms = 30'000;       // from a bind to its echo; then it is asked after
  int64_t uncertain_ms = 10'000;   // from a bind without an answer; then it is asked after
  int64_t foreign_ms = 300'000;    // what another scheduler decided and has not bound
  int64_t nominated_ms = 120'000;  // after the victims were told to leave
};

struct StateFigures {
  size_t nodes = 0;
  size_t pods = 0;
  size_t waiting = 0;
  size_t unreadable_pods = 0;
  std::map<Hold, size_t> reservations;
  uint64_t expired = 0;     // reservations that nobody bound
  uint64_t overridden = 0;  // pods that came to lie elsewhere than reserved
};

class ClusterState {
 public:
  // Registry and clock outlive it.
  ClusterState(const vendor::Registry& registry, const base::Clock& clock,
               const StateOptions& options);

  // --- What the API shows: for reflectors ---
  kube::Watcher<PodRecord>& pods() { return pod_feed_; }
  kube::Watcher<NodeEntry>& nodes() { return node_feed_; }
  kube::Watcher<QuotaEntry>& quotas() { return quota_feed_; }

  // A list beside the watch: what the watch says from BeginList on is newer than the list.
  void BeginList();
  // Whether it is held otherwise, and the watch has said nothing of it since. Pods that the list
  // does not have are no difference: the watch will say so.
  bool Differs(const PodRecord& listed) const;
  struct Differences {
    size_t drift = 0;   // the watch has said as much, and still they were held otherwise
    size_t behind = 0;  // the watch has not said it yet
  };
  // Takes over what is still different, ends what BeginList began, and returns how many there were.
  Differences ApplyList(const std::vector<PodPointer>& differing);

  // --- Decisions ---
  struct Placed {
    placement::Decision decision;
    bool is_nominated = false;            // nothing fits yet, but room is being made
    std::vector<vendor::Device> devices;  // of the node that was chosen
  };
  // The best of `nodes`, reserved. Replaces what was reserved for the pod. Nothing fits: the pod
  // waits, and what was reserved is free, unless victims are leaving for it.
  Placed Reserve(const placement::Request& request, const PodEntry& pod,
                 std::span<const std::string_view> nodes);
  // The same on one node, for a bind without a reservation.
  Placed ReserveOn(const placement::Request& request, const PodEntry& pod, std::string_view node);
  // What the bind of a reservation writes. False: there is none any more.
  bool SetAnnotations(const std::string& uid, std::map<std::string, std::string> annotations,
                      std::string allocation_id, bool grouped);
  // All that fit; nothing is reserved. None: the pod waits.
  std::vector<placement::NodeScore> Fitting(const placement::Request& request, const PodEntry& pod,
                                            std::span<const std::string_view> nodes,
                                            std::vector<placement::Misfit>* misfits);

  // --- Binding ---
  // The reservation of the pod on that node, now kBinding. kNotFound: there is none there.
  // kAborted: another bind of it is under way.
  Result<Reservation> BeginBind(const std::string& uid, const std::string& node);
  void EndBind(const std::string& uid, bool bound);
  // The answer never came: the room stays held, also when the pod is filtered again.
  void EndBindUncertain(const std::string& uid);
  // The pod is gone, or is not to be had.
  void Release(const std::string& uid);

  // --- Preemption ---
  // Whether it was refused last, and is neither gone nor has room since.
  bool Waits(const std::string& uid) const;
  // Holds the room on the node until its victims are gone. False: it does not wait any more.
  bool Nominate(const PodEntry& pod, const domain::Allocation& allocation);

  // --- Time passes ---
  // Reservations that ran out, which are free now.
  std::vector<Reservation> Expire();
  // Bound, but the watch does not say so: to be asked after.
  std::vector<Reservation> Overdue();
  // After a look at the API; null: there is no pod of that uid any more.
  void Settle(const std::string& uid, const PodPointer& pod);

  // --- Waiting pods ---
  // Which nodes a pod that waits can use at all; `text` is the same for equal needs.
  void NoteNeeds(const std::string& uid, domain::NodeNeeds needs, std::string_view text);
  // Called whenever room may have come free, with the lock held: it must only signal.
  void OnRoom(std::function<void()> signal);
  // Those that would fit now into what came free since the last call, on nodes that they can use,
  // highest priority and longest waiting first, each beside those before it; and those that were
  // woken and did not come.
  std::vector<WaitingPod> TakeWakeable(size_t limit);
  void NoteWoken(const std::string& uid);
  void Forget(const std::string& uid);  // there is no such pod any more
  std::vector<WaitingPod> Waiting() const;

  // --- Looking ---
  // Counts how often devices came free.
  uint64_t room_count() const { return room_count_.load(); }
  bool TakesBinding(const std::string& node) const;
  bool HasNode(const std::string& node) const;
  std::optional<Reservation> FindReservation(const std::string& uid) const;
  // Whether a pod of lower priority holds devices: else nobody can make room.
  bool HasHolderBelow(int32_t priority) const;
  std::shared_ptr<const PodEntry> FindPod(const std::string& uid) const;
  StateFigures Figures() const;
  // Under the lock, for metrics and preemption; it must not call this object.
  void Look(const std::function<void(const placement::Cluster&)>& look) const;

 private:
  template <typename T, typename Owner>
  friend class ObjectFeed;

  void Replace(const std::vector<PodPointer>& all, uint64_t version);
  void Replace(const std::vector<std::shared_ptr<const NodeEntry>>& all, uint64_t version);
  void Replace(const std::vector<std::shared_ptr<const QuotaEntry>>& all, uint64_t version);
  void Put(const PodPointer& pod);
  void Put(const std::shared_ptr<const NodeEntry>& node);
  void Put(const std::shared_ptr<const QuotaEntry>& quota);
  void Delete(const kube::ObjectKey& key, uint64_t version, const PodRecord* kind);
  void Delete(const kube::ObjectKey& key, uint64_t version, const NodeEntry* kind);
  void Delete(const kube::ObjectKey& key, uint64_t version, const QuotaEntry* kind);

  // The rest with mutex_ held.
  bool IsFresh(int64_t decided_s) const;
  bool IsWaiting(const std::string& uid) const;
  bool IsDifferent(const PodRecord& listed) const;
  // Whether something later is known of the pod of that name, from a list, a filter or a bind that
  // was ahead of the watch: then what comes of `version` is over.
  bool IsOutdated(const kube::ObjectKey& key, uint64_t version) const;
  void PutPod(const PodPointer& pod);
  void AcceptPod(const PodPointer& pod);
  void RemovePod(const std::string& uid);
  void PutNode(const NodeEntry& node);
  void RemoveNode(const std::string& name);
  // What the cluster should hold of a pod, from its entry and reservation, goes into the cluster.
  void Refresh(const std::string& uid);
  void PutHeld(const std::string& uid, placement::PodFacts facts);
  void RemoveHeld(const std::string& uid);
  void NoteRoom(const std::string& node);
  // Reserves, or gives back what was reserved.
  void Keep(const PodEntry& pod, const domain::Allocation& allocation, Hold hold, int64_t for_ms);
  void Drop(const std::string& uid);
  void DropLate(const std::string& uid);
  Placed Take(const placement::Request& request, const PodEntry& pod, placement::Decision decision);

  const base::Clock& clock_;
  const StateOptions options_;
  ObjectFeed<PodRecord, ClusterState> pod_feed_{this};
  ObjectFeed<NodeEntry, ClusterState> node_feed_{this};
  ObjectFeed<QuotaEntry, ClusterState> quota_feed_{this};

  mutable std::mutex mutex_;
  Holdings holdings_;
  PodTable pods_;
  std::unordered_map<std::string, bool> takes_binding_;  // by node
  NodeTaints taints_;
  std::set<kube::ObjectKey> quotas_;
  Reservations reservations_;
  std::unordered_set<std::string> foreign_;  // held for other schedulers: uids
  WaitingPods waiting_;
  std::atomic<uint64_t> room_count_ = 0;
  uint64_t watched_ = 0;  // the version up to which the watch has told of pods; 0: not known
  SaidSince said_;        // by the watch of pods, since BeginList
  uint64_t expired_ = 0;
  uint64_t overridden_ = 0;
};

}  // namespace hami::extender
