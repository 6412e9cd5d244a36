// SPDX-License-Identifier: Apache-2.0

#include "extender/victims.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/stable_sort.h"

namespace hami::extender {
namespace {

// Pairs that are tried on one node; beyond it the greedy choice has to do.
constexpr size_t kMaxPairCandidates = 100;

// Of the search for three and more; each tries the pod on the node once.
constexpr size_t kMaxSteps = 2'000;

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

// Lowest priority first.
bool ComesFirst(const Candidate& a, const Candidate& b) {
  if (a.facts.priority != b.facts.priority) return a.facts.priority < b.facts.priority;
  return a.facts.uid < b.facts.uid;
}

int64_t HeldMemory(const Candidate* pod) {
  int64_t sum = 0;
  for (const domain::Slice& slice : pod->facts.slices) sum += slice.memory_mib;
  return sum;
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

  // Beyond two: all go, then come back who can, in several orders; the best outcome counts.
  bool TryMany() {
    std::vector<const Candidate*> by_priority(evictable_.rbegin(), evictable_.rend());
    // Of pods that hold less come back more, so fewer leave.
    std::vector<const Candidate*> by_size = by_priority;
    base::StableSortBy(&by_size, &HeldMemory);
    std::optional<VictimChoice> best = TryOrder(by_priority);
    if (std::optional<VictimChoice> other = TryOrder(by_size)) {
      if (!best || IsBetter(*other, *best)) best = std::move(other);
    }
    if (!best) {
      // Who is short of leave chooses first.
      base::StableSortBy(&by_priority, [](const Candidate* pod) { return pod->budgets.empty(); });
      best = TryOrder(by_priority);
    }
    if (!best) return false;
    victims_ = std::move(best->victims);
    allocation_ = std::move(best->allocation);
    return true;
  }

  VictimChoice Take(const std::string& node) {
    return {.node = node, .victims = std::move(victims_), .allocation = std::move(*allocation_)};
  }

 private:
  bool Fits() {
    allocation_ = scratch_.Place();
    return allocation_.has_value();
  }

  bool MaySpend(const Candidate& pod) const {
    return std::ranges::all_of(pod.budgets, [this](const std::string& budget) {
      const auto found = budgets_.find(budget);
      return found == budgets_.end() || found->second > 0;
    });
  }

  bool Spend(const Candidate& pod) {
    if (!MaySpend(pod)) return false;
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

  // All may go; then each of `order` comes back if there is room beside those who are to come, and
  // else needs leave of its budgets. Where there is none, an earlier one has to stay away instead:
  // a search that ends after kMaxSteps. Leaves everything as it was.
  std::optional<VictimChoice> TryOrder(const std::vector<const Candidate*>& order) {
    const Budgets before = budgets_;
    std::vector<const Candidate*> gone;
    for (const Candidate* pod : order) {
      if (!MaySpend(*pod)) continue;
      scratch_.Remove(*pod);
      gone.push_back(pod);
    }
    std::vector<bool> stays(gone.size(), false);
    size_t steps = 0;
    std::optional<VictimChoice> choice;
    if (Fits() && Decide(gone, 0, &stays, &steps)) {
      // Who stayed away for others that then stayed away, too.
      for (size_t i = 0; i < gone.size(); ++i) {
        if (!stays[i] && Returns(*gone[i])) stays[i] = true;
      }
      choice.emplace();
      choice->allocation = *scratch_.Place();
      for (size_t i = 0; i < gone.size(); ++i) {
        if (!stays[i]) choice->victims.push_back(*gone[i]);
      }
      std::ranges::sort(choice->victims, ComesFirst);
    }
    for (size_t i = 0; i < gone.size(); ++i) {
      if (!stays[i]) scratch_.Return(*gone[i]);
    }
    budgets_ = before;
    return choice;
  }

  bool Returns(const Candidate& pod) {
    scratch_.Return(pod);
    if (Fits()) return true;
    scratch_.Remove(pod);
    return false;
  }

  bool Decide(const std::vector<const Candidate*>& gone, size_t at, std::vector<bool>* stays,
              size_t* steps) {
    if (at == gone.size()) return true;
    if (++*steps > kMaxSteps) return false;
    const Candidate& pod = *gone[at];
    if (Returns(pod)) {
      (*stays)[at] = true;
      if (Decide(gone, at + 1, stays, steps)) return true;
      (*stays)[at] = false;
      scratch_.Remove(pod);
    }
    if (!Spend(pod)) return false;
    if (Decide(gone, at + 1, stays, steps)) return true;
    Refund(pod);
    return false;
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
  std::ranges::sort(evictable,
                    [](const Candidate* a, const Candidate* b) { return ComesFirst(*a, *b); });
  Scratch scratch(registry, request, node, pods);
  Search search(scratch, std::move(evictable), budgets);
  if (search.TryNone() || search.TryOne() || search.TryTwo() || search.TryMany()) {
    return search.Take(node.name);
  }
  return std::nullopt;
}

bool FitsWithout(const vendor::Registry& registry, const placement::Request& request,
                 const placement::NodeFacts& node, const std::vector<placement::PodFacts>& pods,
                 std::span<const std::string_view> gone) {
  std::vector<Candidate> candidates;
  for (const placement::PodFacts& pod : pods) {
    const bool leaves = std::ranges::find(gone, pod.uid) != gone.end();
    candidates.push_back({.facts = pod, .terminating = leaves, .budgets = {}});
  }
  return Scratch(registry, request, node, candidates).Place().has_value();
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
