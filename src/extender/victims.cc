// SPDX-License-Identifier: Apache-2.0

#include "extender/victims.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace hami::extender {
namespace {

// Pairs that are tried on one node; beyond it the greedy choice has to do.
constexpr size_t kMaxPairCandidates = 100;

int64_t SumOf(const std::vector<Candidate>& victims) {
  int64_t sum = 0;
  for (const Candidate& victim : victims) sum += victim.facts.priority;
  return sum;
}

int32_t HighestOf(const std::vector<Candidate>& victims) {
  int32_t highest = INT32_MIN;
  for (const Candidate& victim : victims) highest = std::max(highest, victim.facts.priority);
  return highest;
}

// The node alone, with pods that can be taken away and put back.
class Scratch {
 public:
  Scratch(const vendor::Registry& registry, const placement::Request& request,
          const placement::NodeFacts& node, const std::vector<Candidate>& pods)
      : request_(request), node_(node.name), cluster_(registry) {
    cluster_.PutNode(node);
    for (const Candidate& pod : pods) {
      if (!pod.terminating && pod.facts.uid != request.pod_uid) cluster_.PutPod(pod.facts);
    }
  }

  void Remove(const Candidate& pod) { cluster_.RemovePod(pod.facts.uid); }
  void Return(const Candidate& pod) { cluster_.PutPod(pod.facts); }
  std::optional<domain::Allocation> Place() const {
    return cluster_.PlaceOn(request_, node_).allocation;
  }

 private:
  const placement::Request& request_;
  const std::string node_;
  placement::Cluster cluster_;
};

class Search {
 public:
  Search(Scratch& scratch, std::vector<const Candidate*> evictable, const Budgets& budgets)
      : scratch_(scratch), evictable_(std::move(evictable)), budgets_(budgets) {}

  // Lowest priority first, so the first that does is the best.
  bool TryNone() { return Fits(); }

  bool TryOne() {
    for (const Candidate* pod : evictable_) {
      if (!Spend(*pod)) continue;
      scratch_.Remove(*pod);
      const bool fits = Fits();
      scratch_.Return(*pod);
      Refund(*pod);
      if (fits) {
        victims_ = {*pod};
        return true;
      }
    }
    return false;
  }

  bool TryTwo() {
    if (evictable_.size() > kMaxPairCandidates) return false;
    bool found = false;
    // The higher one counts first, so it is in the outer loop.
    for (size_t high = 1; high < evictable_.size(); ++high) {
      const Candidate& b = *evictable_[high];
      if (found && b.facts.priority > HighestOf(victims_)) break;
      if (!Spend(b)) continue;
      scratch_.Remove(b);
      for (size_t low = 0; low < high; ++low) {
        const Candidate& a = *evictable_[low];
        if (found && a.facts.priority + int64_t{b.facts.priority} >= SumOf(victims_)) break;
        if (!Spend(a)) continue;
        scratch_.Remove(a);
        std::optional<domain::Allocation> allocation = scratch_.Place();
        scratch_.Return(a);
        Refund(a);
        if (!allocation) continue;
        victims_ = {a, b};
        allocation_ = std::move(allocation);
        found = true;
        break;
      }
      scratch_.Return(b);
      Refund(b);
    }
    return found;
  }

  // All go, then come back who can, highest priority first.
  bool TryAll() {
    std::vector<const Candidate*> gone;
    for (const Candidate* pod : evictable_) {
      if (!Spend(*pod)) continue;
      scratch_.Remove(*pod);
      gone.push_back(pod);
    }
    const bool fits = Fits();
    if (fits) {
      for (size_t i = gone.size(); i-- > 0;) {
        scratch_.Return(*gone[i]);
        if (std::optional<domain::Allocation> allocation = scratch_.Place()) {
          allocation_ = std::move(allocation);
          Refund(*gone[i]);
          gone.erase(gone.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
          scratch_.Remove(*gone[i]);
        }
      }
      victims_.clear();
      for (const Candidate* pod : gone) victims_.push_back(*pod);
    }
    return fits;
  }

  VictimChoice Take(const std::string& node) {
    return {.node = node, .victims = std::move(victims_), .allocation = std::move(*allocation_)};
  }

 private:
  bool Fits() {
    allocation_ = scratch_.Place();
    return allocation_.has_value();
  }

  bool Spend(const Candidate& pod) {
    for (const std::string& budget : pod.budgets) {
      const auto found = budgets_.find(budget);
      if (found != budgets_.end() && found->second <= 0) return false;
    }
    Change(pod, -1);
    return true;
  }

  void Refund(const Candidate& pod) { Change(pod, 1); }

  void Change(const Candidate& pod, int64_t by) {
    for (const std::string& budget : pod.budgets) {
      const auto found = budgets_.find(budget);
      if (found != budgets_.end()) found->second += by;
    }
  }

  Scratch& scratch_;
  const std::vector<const Candidate*> evictable_;  // lowest priority first
  Budgets budgets_;
  std::vector<Candidate> victims_;
  std::optional<domain::Allocation> allocation_;
};

}  // namespace

std::optional<VictimChoice> ChooseVictims(const vendor::Registry& registry,
                                          const placement::Request& request, int32_t priority,
                                          const placement::NodeFacts& node,
                                          const std::vector<Candidate>& pods,
                                          const Budgets& budgets) {
  std::vector<const Candidate*> evictable;
  for (const Candidate& pod : pods) {
    if (!pod.terminating && pod.facts.priority < priority && !pod.facts.slices.empty() &&
        pod.facts.uid != request.pod_uid) {
      evictable.push_back(&pod);
    }
  }
  std::ranges::sort(evictable, [](const Candidate* a, const Candidate* b) {
    if (a->facts.priority != b->facts.priority) return a->facts.priority < b->facts.priority;
    return a->facts.uid < b->facts.uid;
  });
  Scratch scratch(registry, request, node, pods);
  Search search(scratch, std::move(evictable), budgets);
  if (search.TryNone() || search.TryOne() || search.TryTwo() || search.TryAll()) {
    return search.Take(node.name);
  }
  return std::nullopt;
}

bool IsBetter(const VictimChoice& a, const VictimChoice& b) {
  if (a.victims.size() != b.victims.size()) return a.victims.size() < b.victims.size();
  if (HighestOf(a.victims) != HighestOf(b.victims)) {
    return HighestOf(a.victims) < HighestOf(b.victims);
  }
  if (SumOf(a.victims) != SumOf(b.victims)) return SumOf(a.victims) < SumOf(b.victims);
  return a.node < b.node;
}

}  // namespace hami::extender
