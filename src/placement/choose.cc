// SPDX-License-Identifier: Apache-2.0

#include "placement/choose.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>
#include <vector>

#include "placement/compiled.h"
#include "placement/fit.h"
#include "placement/misfits.h"
#include "placement/score.h"

namespace hami::placement {
namespace {

struct Candidate {
  double goodness = -std::numeric_limits<double>::infinity();  // higher is better
  uint32_t node = NameIndex::kNone;

  // Of equal ones the node that was known first.
  bool operator<(const Candidate& other) const {
    return goodness < other.goodness || (goodness == other.goodness && node > other.node);
  }
};

// The best few of many, best first. Mostly one of them fits, and the rest need no order.
class BestFew {
 public:
  bool Wants(const Candidate& candidate) const {
    return count_ < kMost || few_[kMost - 1] < candidate;
  }
  // Only what it wants.
  void Take(const Candidate& candidate) {
    size_t at = count_ < kMost ? count_++ : kMost - 1;
    for (; at > 0 && few_[at - 1] < candidate; --at) few_[at] = few_[at - 1];
    few_[at] = candidate;
  }
  std::span<const Candidate> all() const { return std::span(few_).first(count_); }

 private:
  static constexpr size_t kMost = 8;
  std::array<Candidate, kMost> few_;
  size_t count_ = 0;
};

// Nodes by number that were met in this round. Names come from outside and may repeat, and a set of
// them would be a tenth of a decision.
class Met {
 public:
  void Begin(size_t limit) {
    if (++round_ == 0) {
      rounds_.clear();
      round_ = 1;
    }
    if (rounds_.size() < limit) rounds_.resize(limit);
  }
  // Whether it is the first time.
  bool Note(uint32_t number) { return std::exchange(rounds_[number], round_) != round_; }

 private:
  uint32_t round_ = 0;
  std::vector<uint32_t> rounds_;
};

// Calls visit(number, name) once for each node of that name, and with kNone for unknown names.
// Names mostly come in the order in which nodes were put, so the next number is tried before the
// index.
template <typename Visit>
void ForEachNode(const ClusterIndex& index, std::span<const std::string_view> names,
                 const Visit& visit) {
  const NameTable& table = index.names();
  const uint32_t limit = table.limit();
  if (names.empty()) {
    for (uint32_t number = 0; number < limit; ++number) {
      if (index.IsKnown(number)) visit(number, table.At(number));
    }
    return;
  }
  static thread_local Met met;
  met.Begin(limit);
  uint32_t next = 0;
  for (const std::string_view name : names) {
    const uint32_t number = next < limit && table.Is(next, name) ? next : table.Find(name);
    if (number == NameIndex::kNone || !index.IsKnown(number)) {
      visit(NameIndex::kNone, name);
    } else {
      next = number + 1;
      if (met.Note(number)) visit(number, name);
    }
  }
}

// The node's score before the pod, turned so that higher is better.
class Goodness {
 public:
  explicit Goodness(const CompiledRequest& compiled)
      : compiled_(compiled),
        sign_(compiled.request->policy.node == NodePolicy::kSpread ? -1 : 1),
        only_(compiled.vendors.size() == 1
                  ? compiled.index->summaries(compiled.vendors.front()).data()
                  : nullptr) {}

  double Of(uint32_t number) const {
    if (only_ != nullptr) return sign_ * only_[number].score;
    if (compiled_.vendors.empty()) return sign_ * NativeScore(compiled_.index->node(number));
    double score = 0;
    for (const vendor::VendorId vendor : compiled_.vendors) {
      score += compiled_.index->summaries(vendor)[number].score;
    }
    return sign_ * score;
  }

 private:
  const CompiledRequest& compiled_;
  const double sign_;
  const Summary* only_;  // of the only vendor that is asked
};

// Nodes that may fit, in the order of their names in the request; the best of them, too.
BestFew FindCandidates(const CompiledRequest& compiled, std::span<const std::string_view> names,
                       std::vector<Candidate>* candidates) {
  candidates->clear();
  BestFew best;
  if (!compiled.possible) return best;
  const uint32_t own = compiled.own == nullptr ? NameIndex::kNone : compiled.own->node;
  const bool check_native = compiled.request->check_native;
  const Goodness goodness(compiled);
  ForEachNode(*compiled.index, names, [&](uint32_t number, std::string_view /*name*/) {
    if (number == NameIndex::kNone) return;
    if (!CouldFit(compiled, number) && number != own) return;
    Reason reason = Reason::kNone;
    if (check_native && !NativeFits(compiled, number, &reason)) return;
    const Candidate candidate{.goodness = goodness.Of(number), .node = number};
    if (best.Wants(candidate)) {
      if (number != own && !HasRooms(compiled, number)) return;
      best.Take(candidate);
    }
    candidates->push_back(candidate);
  });
  return best;
}

// The best that fits; its allocation is left in the fitter.
bool FitBestFirst(Fitter* fitter, const BestFew& best, std::vector<Candidate>* candidates,
                  Candidate* chosen) {
  for (const Candidate& candidate : best.all()) {
    *chosen = candidate;
    if (fitter->Fit(chosen->node, nullptr)) return true;
  }
  if (candidates->size() <= best.all().size()) return false;
  const Candidate last = best.all().back();
  std::erase_if(*candidates, [&last](const Candidate& one) { return !(one < last); });
  std::make_heap(candidates->begin(), candidates->end());
  while (!candidates->empty()) {
    std::pop_heap(candidates->begin(), candidates->end());
    *chosen = candidates->back();
    candidates->pop_back();
    if (!HasRooms(fitter->compiled(), chosen->node) && !fitter->HoldsOwn(chosen->node)) continue;
    if (fitter->Fit(chosen->node, nullptr)) return true;
  }
  return false;
}

// Where the score depends on the devices: all are fitted.
bool FitAll(Fitter* fitter, const std::vector<Candidate>& candidates, Candidate* chosen) {
  bool found = false;
  for (Candidate candidate : candidates) {
    if (!HasRooms(fitter->compiled(), candidate.node) && !fitter->HoldsOwn(candidate.node)) {
      continue;
    }
    if (!fitter->Fit(candidate.node, nullptr)) continue;
    candidate.goodness += fitter->RuleScore();
    if (!found || *chosen < candidate) *chosen = candidate;
    found = true;
  }
  return found && fitter->Fit(chosen->node, nullptr);
}

// Nodes below `limit`, each at most once: marked and read again in order, which for thousands in no
// order is much cheaper than to compare them.
void SortNodes(size_t limit, std::vector<uint32_t>* nodes) {
  if (std::ranges::is_sorted(*nodes)) return;
  constexpr size_t kBits = 64;
  static thread_local std::vector<uint64_t> marks;
  marks.assign((limit + kBits - 1) / kBits, 0);
  for (const uint32_t node : *nodes) marks[node / kBits] |= uint64_t{1} << (node % kBits);
  nodes->clear();
  for (size_t i = 0; i < marks.size(); ++i) {
    for (uint64_t word = marks[i]; word != 0; word &= word - 1) {
      nodes->push_back(
          static_cast<uint32_t>(i * kBits + static_cast<size_t>(std::countr_zero(word))));
    }
  }
}

// Where the least is lost to fragments. Rules that score nodes go before: FitAll. Which judgements
// are renewed first depends on the order of the nodes, and kube-scheduler, which looks at them in
// parallel, names them in another one each time: it gets its own, so that a simulation of the same
// pods decides the same (tests/cluster/test_openb.py).
bool FitByFragments(FragmentSearch* fragments, Fitter* fitter,
                    const std::vector<Candidate>& candidates, Candidate* chosen) {
  static thread_local std::vector<uint32_t> nodes;
  nodes.clear();
  for (const Candidate& candidate : candidates) nodes.push_back(candidate.node);
  SortNodes(fitter->compiled().index->node_limit(), &nodes);
  double cost = 0;
  const uint32_t node = fragments->Choose(fitter->compiled(), nodes, fitter, &cost);
  if (node == NameIndex::kNone) return false;
  *chosen = {.goodness = -cost, .node = node};
  return true;
}

}  // namespace

Decision ChooseNode(const ClusterIndex& index, const Request& request,
                    std::span<const std::string_view> nodes, FragmentSearch* fragments,
                    MisfitMemory* memory) {
  static thread_local std::vector<Candidate> candidates;
  const CompiledRequest compiled(index, request);
  Fitter fitter(compiled);
  const BestFew best = FindCandidates(compiled, nodes, &candidates);
  Decision decision;
  decision.candidates = static_cast<int32_t>(candidates.size());
  Candidate chosen;
  const bool by_fragments = request.policy.node == NodePolicy::kFragmentation;
  const bool found = compiled.scores_nodes ? FitAll(&fitter, candidates, &chosen)
                     : by_fragments        ? FitByFragments(fragments, &fitter, candidates, &chosen)
                                           : FitBestFirst(&fitter, best, &candidates, &chosen);
  decision.gave_up = fitter.gave_up_once();
  if (found) {
    decision.allocation = fitter.TakeAllocation();
    decision.score = chosen.goodness;
    return decision;
  }
  Misfits misfits(compiled, &fitter, memory);
  decision.misfits.reserve(nodes.empty() ? index.known_nodes() : nodes.size());
  ForEachNode(index, nodes, [&](uint32_t number, std::string_view name) {
    if (number != NameIndex::kNone) index.Prefetch(number);
    decision.misfits.push_back({.node = std::string(name), .text = misfits.Look(number)});
  });
  decision.nearest = misfits.Nearest();
  decision.gave_up = fitter.gave_up_once();
  return decision;
}

std::vector<NodeScore> FittingNodes(const ClusterIndex& index, const Request& request,
                                    std::span<const std::string_view> nodes,
                                    FragmentSearch* fragments, MisfitMemory* memory,
                                    std::vector<Misfit>* misfits) {
  const CompiledRequest compiled(index, request);
  Fitter fitter(compiled);
  Misfits texts(compiled, &fitter, memory);
  const Goodness goodness(compiled);
  const uint32_t own = compiled.own == nullptr ? NameIndex::kNone : compiled.own->node;
  std::vector<NodeScore> fitting;
  ForEachNode(index, nodes, [&](uint32_t number, std::string_view name) {
    Reason reason = Reason::kNone;
    if (number != NameIndex::kNone && compiled.possible &&
        (number == own || (CouldFit(compiled, number) && HasRooms(compiled, number))) &&
        NativeFits(compiled, number, &reason) && fitter.Fit(number, nullptr)) {
      const double base = request.policy.node == NodePolicy::kFragmentation
                              ? -fragments->CostOf(compiled, number, fitter)
                              : goodness.Of(number);
      const double rules = compiled.scores_nodes ? fitter.RuleScore() : 0;
      fitting.push_back({.node = std::string(name), .score = base + rules});
    } else if (misfits != nullptr) {
      misfits->push_back({.node = std::string(name), .text = texts.TextOf(number)});
    }
  });
  return fitting;
}

}  // namespace hami::placement
