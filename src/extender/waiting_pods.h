// SPDX-License-Identifier: Apache-2.0
//
// Pods that were refused for want of room, and where room came free since: who of them should be
// tried again. Time is passed in (monotonic). One thread, or under the caller's lock.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "domain/node.h"
#include "domain/node_needs.h"
#include "extender/objects.h"
#include "extender/reservations.h"
#include "kube/object.h"
#include "placement/cluster.h"
#include "placement/request.h"

namespace hami::extender {

struct WaitingPod {
  kube::ObjectKey key;
  std::string uid;
  placement::Request request;
  int32_t priority = 0;
  int64_t since_ns = 0;  // first refusal
  int64_t tried_ns = 0;  // last refusal
  int64_t woken_ns = 0;  // 0: never
  int wakes = 0;         // since it was last tried
  std::string kind;      // what it asks; alike for pods that fit or do not fit together
  domain::NodeNeeds needs;
};

using NodeTaints = std::unordered_map<std::string, std::vector<domain::Taint>>;  // where some are

class WaitingPods {
 public:
  // It was refused.
  void Note(const placement::Request& request, const PodEntry& pod, int64_t now_ns);
  // Which nodes it can use at all; `text` is the same for equal needs. Who does not wait is
  // ignored.
  void NoteNeeds(const std::string& uid, domain::NodeNeeds needs, std::string_view text);
  void NoteWoken(const std::string& uid, int64_t now_ns);
  void Erase(const std::string& uid) { pods_.erase(uid); }
  bool Has(const std::string& uid) const { return pods_.contains(uid); }

  // Called whenever room may have come free for somebody: it must only signal.
  void OnRoom(std::function<void()> signal) { signal_ = std::move(signal); }
  void NoteRoom(const std::string& node);
  void NoteRoomEverywhere();

  // Those that would fit now into what came free since the last call, on nodes that they can use,
  // highest priority and longest waiting first, each beside those before it; and those that were
  // woken and did not come. Who has a reservation does not wait, unless it is nominated and its
  // victims are leaving. The cluster is as before afterwards.
  std::vector<WaitingPod> TakeWakeable(size_t limit, int64_t now_ns,
                                       const Reservations& reservations, const NodeTaints& taints,
                                       placement::Cluster* cluster);

  std::vector<WaitingPod> All() const;
  size_t size() const { return pods_.size(); }

 private:
  std::unordered_map<std::string, WaitingPod> pods_;  // by uid
  std::set<std::string> room_nodes_;
  bool room_everywhere_ = false;
  std::function<void()> signal_;
};

}  // namespace hami::extender
