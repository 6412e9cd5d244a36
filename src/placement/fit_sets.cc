// SPDX-License-Identifier: Apache-2.0
//
// Devices that are chosen together (topology, rules of vendors), and what rules see of a node.

#include <algorithm>
#include <utility>

#include "placement/fit.h"
#include "placement/topology.h"

namespace hami::placement {

bool Fitter::ChooseSet(uint16_t number, ReasonCounts* reasons) {
  const CompiledAsk& ask = compiled_->asks[number];
  const VendorRange* range = node_->RangeOf(ask.request->vendor);
  const auto wanted = static_cast<size_t>(RequestOf(ask).count);
  std::vector<uint16_t> fitting;  // of the range, best first
  std::optional<int32_t> numa;
  for (const DeviceRank& rank : ranks_) {
    if (compiled_->request->policy.numa_bind && numa != rank.numa) {
      if (fitting.size() >= wanted) break;
      if (reasons != nullptr) reasons->Add(Reason::kNumaNotFit, fitting.size());
      fitting.clear();
      numa = rank.numa;
    }
    fitting.push_back(static_cast<uint16_t>(rank.device - range->begin));
  }
  if (fitting.size() < wanted) {
    if (reasons != nullptr) {
      reasons->Add(Reason::kAllocatedCardsInsufficientRequest, fitting.size());
    }
    return false;
  }
  std::vector<uint16_t> chosen;
  if (ask.chooses_sets) {
    chosen = ask.rule->ChooseSet(RuleAskOf(ask), FitView(*this, *range), fitting);
    if (chosen.size() != wanted) {
      if (reasons != nullptr) {
        reasons->Add(Reason::kCardNotFoundCustomFilterRule, fitting.size());
      }
      return false;
    }
  } else {
    std::vector<const vendor::Device*> devices;
    for (const uint16_t place : fitting) {
      devices.push_back(&node_->facts.devices[size_t{range->begin} + place]);
    }
    for (const uint16_t place : BestConnected(PairScoresOf(devices), wanted)) {
      chosen.push_back(fitting[place]);
    }
  }
  const size_t first = picks_.size();
  for (const uint16_t place : chosen) {
    const auto device = static_cast<uint16_t>(range->begin + place);
    const Offer offer = Check(ask, device);  // again: the quota counts what was taken before
    if (offer.reason != Reason::kNone) {
      if (reasons != nullptr) reasons->Add(offer.reason);
      UndoTo(first);
      return false;
    }
    Take(number, device, offer);
  }
  return true;
}

double Fitter::RuleScore() const {
  double score = 0;
  std::vector<uint16_t> chosen;
  for (size_t i = 0; i < compiled_->asks.size(); ++i) {
    const CompiledAsk& ask = compiled_->asks[i];
    if (!ask.scores_nodes) continue;
    const VendorRange* range = node_->RangeOf(ask.request->vendor);
    chosen.clear();
    for (const Pick& pick : picks_) {
      if (pick.ask == i) chosen.push_back(static_cast<uint16_t>(pick.device - range->begin));
    }
    score += ask.rule->ScoreNode(RuleAskOf(ask), FitView(*this, *range), chosen);
  }
  return score;
}

const NodeFacts& FitView::facts() const { return fitter_.node().facts; }

const vendor::Device& FitView::device(size_t number) const {
  return fitter_.node().facts.devices[range_.begin + number];
}

DeviceUse FitView::use(size_t number) const {
  return fitter_.used(static_cast<uint16_t>(range_.begin + number));
}

std::vector<Tenant> FitView::Tenants(size_t number) const {
  const size_t device = range_.begin + number;
  const CompiledRequest& compiled = fitter_.compiled();
  std::vector<Tenant> tenants;
  for (const uint32_t pod_number : fitter_.node().pods) {
    const PodState& pod = compiled.index->pod(pod_number);
    if (&pod == compiled.own) continue;
    for (const HeldSlice& slice : pod.slices) {
      if (slice.device != device) continue;
      tenants.push_back({.memory_mib = slice.memory_mib,
                         .cores = slice.cores,
                         .shape = slice.more ? std::string_view(slice.more->shape) : "",
                         .same_pod = false,
                         .container = slice.container});
    }
  }
  for (const Pick& pick : fitter_.picks()) {
    if (pick.device != device) continue;
    tenants.push_back({.memory_mib = pick.memory_mib,
                       .cores = pick.cores,
                       .shape = pick.shape,
                       .same_pod = true,
                       .container = compiled.asks[pick.ask].container});
  }
  return tenants;
}

}  // namespace hami::placement
