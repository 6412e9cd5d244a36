// SPDX-License-Identifier: Apache-2.0

#include "placement/fit.h"

#include <algorithm>
#include <utility>

#include "placement/score.h"
#include "placement/topology.h"
#include "vendor/selectors.h"

namespace hami::placement {

Fitter::Fitter(const CompiledRequest& compiled) : compiled_(&compiled) {
  if (!compiled.quota.empty()) sums_.resize(compiled.quota.size());
}

void Fitter::Start(uint32_t number) {
  const ClusterIndex& index = *compiled_->index;
  number_ = number;
  node_ = &index.node(number);
  const size_t count = node_->devices.size();
  used_.resize(count);
  mig_taken_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    used_[i] = node_->devices[i].used;
    mig_taken_[i] = node_->devices[i].mig_taken;
  }
  picks_.clear();
  std::fill(sums_.begin(), sums_.end(), Sum());
  failed_ask_ = compiled_->asks.size();
  has_offers_ = false;
  ReadRequests();
  const PodState* own = compiled_->own;
  if (own == nullptr || &index.node(own->node) != node_) return;
  index.AddUse(*own, *node_, -1, &used_);
  for (const HeldSlice& slice : own->slices) {
    if (slice.device >= used_.size() || !slice.more || !slice.more->mig) continue;
    mig_taken_[slice.device] &= ~MigBits(slice.more->mig->start, slice.more->mig->size);
  }
}

void Fitter::ReadRequests() {
  if (!compiled_->asks_across) return;
  on_node_.clear();
  for (const CompiledAsk& ask : compiled_->asks) {
    const VendorRange* range = node_->RangeOf(ask.request->vendor);
    on_node_.push_back(range == nullptr
                           ? *ask.request
                           : RequestOn(*ask.request, node_->facts.devices[range->begin]));
  }
}

RuleAsk Fitter::RuleAskOf(const CompiledAsk& ask) const {
  return {.spec = *ask.spec,
          .request = RequestOf(ask),
          .pod = *compiled_->request,
          .container = ask.container};
}

bool Fitter::Fit(uint32_t number, ReasonCounts* reasons) {
  gave_up_ = false;
  Start(number);
  if (FitAll(reasons)) return true;
  return SearchFit(this);
}

bool Fitter::TakeStep() {
  if (search_steps_ > 0) {
    --search_steps_;
    return true;
  }
  gave_up_ = true;
  gave_up_once_ = true;
  return false;
}

void Fitter::StartAgain() {
  const size_t failed = failed_ask_;
  const bool had_offers = has_offers_;
  Start(number_);
  failed_ask_ = failed;
  has_offers_ = had_offers;
}

bool Fitter::FitsAlone(uint16_t ask) {
  const bool fits = FitAsk(ask, nullptr);
  UndoTo(0);
  return fits;
}

std::vector<MigChoice> Fitter::InstancesFor(const CompiledAsk& ask, uint16_t device) const {
  const DeviceUse need = NeedFor(ask, device);
  return MigChoices(node_->facts.devices[device], need.memory_mib, need.cores, ask.whole);
}

bool Fitter::HasRoom(const CompiledAsk& ask, uint16_t device, const DeviceUse& need) const {
  return used_[device].slots + need.slots <= node_->devices[device].total.slots &&
         WithinQuota(ask.request->vendor, need);
}

bool Fitter::FitAll(ReasonCounts* reasons) {
  size_t first = 0;  // pick of the container
  for (uint16_t i = 0; i < compiled_->asks.size(); ++i) {
    if (!FitAsk(i, reasons)) {
      failed_ask_ = i;
      return false;
    }
    const CompiledAsk& ask = compiled_->asks[i];
    if (!ask.last_of_container) continue;
    if (ask.kind == domain::ContainerKind::kInit) EndInit(first);
    first = picks_.size();
  }
  return true;
}

bool Fitter::FitAsk(uint16_t number, ReasonCounts* reasons) {
  const CompiledAsk& ask = compiled_->asks[number];
  const int32_t count = RequestOf(ask).count;
  const VendorRange* range = node_->RangeOf(ask.request->vendor);
  const size_t total = range == nullptr ? 0 : size_t{range->end} - range->begin;
  if (reasons != nullptr) reasons->Start(total);
  bool several_times = false;
  for (size_t i = 0; i < total; ++i) several_times |= node_->devices[range->begin + i].mig;
  if (total == 0 || (std::cmp_less(total, count) && !several_times)) {
    if (reasons != nullptr) reasons->SetWhole(Reason::kNodeInsufficientDevice);
    return false;
  }
  if (ask.rule != nullptr) {
    const Reason reason = ask.rule->RefuseNode(RuleAskOf(ask), FitView(*this, *range));
    if (reason != Reason::kNone) {
      if (reasons != nullptr) reasons->SetWhole(reason);
      return false;
    }
  }
  ranks_.clear();
  offers_.resize(node_->devices.size());
  for (uint16_t i = range->begin; i < range->end; ++i) {
    offers_[i] = Check(ask, i);
    const Offer& offer = offers_[i];
    if (offer.reason == Reason::kNone) {
      ranks_.push_back(RankOf(i, offer.need));
    } else if (reasons != nullptr) {
      reasons->Add(offer.reason);
    }
  }
  has_offers_ = true;
  if (std::cmp_less(ranks_.size(), count) && !several_times) {
    if (reasons != nullptr) {
      reasons->Add(Reason::kAllocatedCardsInsufficientRequest, ranks_.size());
    }
    return false;
  }
  compiled_->order.Sort(&ranks_);
  const bool sets = ask.chooses_sets || compiled_->request->policy.device.topology_aware;
  return sets && !several_times ? ChooseSet(number, reasons) : Walk(number, reasons);
}

DeviceUse Fitter::NeedFor(const CompiledAsk& ask, uint16_t number) const {
  if (ask.fixed_need) return *ask.fixed_need;
  const vendor::Need need = NeedOn(*ask.spec, RequestOf(ask), node_->facts.devices[number]);
  return {.slots = need.slots,
          .memory_mib = need.memory_mib,
          .cores = ask.in_percent ? std::min(need.cores, 100) : need.cores};
}

DeviceRank Fitter::RankOf(uint16_t number, const DeviceUse& need) const {
  const DeviceState& device = node_->devices[number];
  return {
      .score = DeviceScore(device.total, used_[number], need, compiled_->request->policy.weights),
      .numa = device.numa,
      .index = device.index,
      .device = number};
}

std::vector<DeviceRank> Fitter::Ranked(const CompiledAsk& ask) const {
  const VendorRange* range = node_->RangeOf(ask.request->vendor);
  std::vector<DeviceRank> ranks;
  for (uint16_t i = range->begin; i < range->end; ++i) {
    ranks.push_back(RankOf(i, NeedFor(ask, i)));
  }
  compiled_->order.Sort(&ranks);
  return ranks;
}

Offer Fitter::Check(const CompiledAsk& ask, uint16_t number) const {
  Offer offer;
  const auto refuse = [&offer](Reason reason) {
    offer.reason = reason;
    return offer;
  };
  const DeviceState& device = node_->devices[number];
  const DeviceUse& used = used_[number];
  if (!device.healthy || device.fault) {
    return refuse(ask.rule == nullptr ? Reason::kCardNotHealth : ask.rule->UnhealthyWord());
  }
  if (device.cordoned) return refuse(Reason::kCardCordoned);
  if (!ask.models.empty() && !ask.models[device.model]) return refuse(Reason::kCardTypeMismatch);
  if (ask.by_id) {
    const bool hashed = ask.use_ids.empty() || std::find(ask.use_ids.begin(), ask.use_ids.end(),
                                                         device.id_hash) != ask.use_ids.end();
    if (!hashed || !vendor::MatchesId(*ask.selectors, node_->facts.devices[number])) {
      return refuse(Reason::kCardUuidMismatch);
    }
  }
  offer.need = NeedFor(ask, number);
  if (device.total.slots - used.slots < offer.need.slots) {
    return refuse(Reason::kCardTimeSlicingExhausted);
  }
  if (compiled_->request->policy.device.only_idle && used.slots > 0) {
    return refuse(Reason::kExclusiveDeviceAllocateConflict);
  }
  if (!WithinQuota(ask.request->vendor, offer.need)) return refuse(Reason::kResourceQuotaNotFit);
  if (device.total.memory_mib - used.memory_mib < offer.need.memory_mib) {
    return refuse(Reason::kCardInsufficientMemory);
  }
  // Instances are given by place: their cores, rounded up each, may add up to more than 100.
  if (!ask.skips_cores && !device.mig) {
    const int32_t total = device.total.cores;
    if (total - used.cores < offer.need.cores) return refuse(Reason::kCardInsufficientCore);
    if (total == 100 && offer.need.cores == 100 && used.slots > 0) {
      return refuse(Reason::kExclusiveDeviceAllocateConflict);
    }
    if (total != 0 && used.cores == total && offer.need.cores == 0) {
      return refuse(Reason::kCardComputeUnitsExhausted);
    }
  }
  if (device.mig) {
    const std::optional<MigChoice> choice =
        ChooseMig(node_->facts.devices[number], mig_taken_[number], offer.need.memory_mib,
                  offer.need.cores, ask.whole);
    if (!choice) return refuse(Reason::kCardMigTopologyInfeasible);
    offer.mig = *choice;
    offer.need.memory_mib = choice->profile->memory_mib;
    offer.need.cores = choice->profile->cores;
    if (!WithinQuota(ask.request->vendor, offer.need)) {
      return refuse(Reason::kResourceQuotaNotFit);
    }
  }
  if (ask.rule != nullptr) {
    const VendorRange* range = node_->RangeOf(device.vendor);
    const FitView view(*this, *range);
    offer.reason = ask.rule->RefuseDevice(RuleAskOf(ask), view, size_t{number} - range->begin);
  }
  return offer;
}

bool Fitter::WithinQuota(vendor::VendorId vendor, const DeviceUse& need) const {
  if (compiled_->quota.empty()) return true;
  const QuotaLeft& left = compiled_->quota[vendor];
  const Sum& sum = sums_[vendor];
  if (left.memory_mib && sum.memory_mib + need.memory_mib > *left.memory_mib) return false;
  return !left.cores || sum.cores + need.cores <= *left.cores;
}

void Fitter::Count(const Pick& pick, int sign) {
  DeviceUse& used = used_[pick.device];
  used.slots += sign * pick.taken.slots;
  used.memory_mib += sign * pick.taken.memory_mib;
  used.cores += sign * pick.taken.cores;
  if (sums_.empty()) return;
  Sum& sum = sums_[node_->devices[pick.device].vendor];
  sum.memory_mib += sign * int64_t{pick.taken.memory_mib};
  sum.cores += sign * int64_t{pick.taken.cores};
}

void Fitter::Take(uint16_t number, uint16_t device, const Offer& offer) {
  const CompiledAsk& ask = compiled_->asks[number];
  Pick pick;
  pick.ask = number;
  pick.device = device;
  pick.taken = offer.need;
  pick.memory_mib = offer.need.memory_mib;
  pick.cores = offer.need.cores;
  pick.mig = offer.mig;
  if (ask.rule != nullptr) {
    const VendorRange* range = node_->RangeOf(ask.request->vendor);
    domain::Slice slice;
    slice.container = ask.container;
    slice.vendor = ask.spec->common_word;
    slice.device = node_->facts.devices[device].id;
    slice.memory_mib = pick.memory_mib;
    slice.cores = pick.cores;
    slice.shape = ask.request->shape.name;
    ask.rule->Shape(RuleAskOf(ask), FitView(*this, *range), size_t{device} - range->begin, &slice);
    pick.taken = ask.rule->UseOf(node_->facts.devices[device], slice);
    pick.memory_mib = slice.memory_mib;
    pick.cores = slice.cores;
    pick.shape = std::move(slice.shape);
  } else {
    pick.shape = ask.request->shape.name;
  }
  if (pick.mig.profile != nullptr) mig_taken_[device] |= MigBits(pick.mig.start, pick.mig.size);
  Count(pick, 1);
  picks_.push_back(std::move(pick));
}

void Fitter::UndoTo(size_t count) {
  while (picks_.size() > count) {
    const Pick& pick = picks_.back();
    Count(pick, -1);
    if (pick.mig.profile != nullptr) {
      mig_taken_[pick.device] &= ~MigBits(pick.mig.start, pick.mig.size);
    }
    picks_.pop_back();
  }
}

void Fitter::EndInit(size_t first) {
  for (size_t i = first; i < picks_.size(); ++i) {
    if (picks_[i].mig.profile == nullptr) Count(picks_[i], -1);
  }
}

void Fitter::ResumeInit(size_t first, size_t end) {
  for (size_t i = first; i < end; ++i) {
    if (picks_[i].mig.profile == nullptr) Count(picks_[i], 1);
  }
}

bool Fitter::Walk(uint16_t number, ReasonCounts* reasons) {
  const CompiledAsk& ask = compiled_->asks[number];
  const size_t first = picks_.size();
  const auto wanted = static_cast<size_t>(RequestOf(ask).count);
  std::optional<int32_t> numa;
  for (const DeviceRank& rank : ranks_) {
    if (compiled_->request->policy.numa_bind && numa != rank.numa) {
      if (reasons != nullptr) reasons->Add(Reason::kNumaNotFit, picks_.size() - first);
      UndoTo(first);
      numa = rank.numa;
    }
    Offer offer = offers_[rank.device];
    // What this ask took before counts for the quota, and for rules.
    if (picks_.size() > first && (!sums_.empty() || ask.rule != nullptr)) {
      offer = Check(ask, rank.device);
    }
    if (offer.reason != Reason::kNone && reasons != nullptr) reasons->Add(offer.reason);
    while (offer.reason == Reason::kNone) {
      Take(number, rank.device, offer);
      if (picks_.size() - first == wanted) return true;
      if (offer.mig.profile == nullptr) break;
      offer = Check(ask, rank.device);  // the same GPU may have room for another instance
      if (offer.reason != Reason::kNone && reasons != nullptr) reasons->Add(offer.reason);
    }
  }
  if (reasons != nullptr) {
    reasons->Add(Reason::kAllocatedCardsInsufficientRequest, picks_.size() - first);
  }
  UndoTo(first);
  return false;
}

domain::Allocation Fitter::TakeAllocation() const {
  domain::Allocation allocation;
  allocation.node = node_->facts.name;
  allocation.slices.reserve(picks_.size());
  for (const Pick& pick : picks_) {
    const CompiledAsk& ask = compiled_->asks[pick.ask];
    domain::Slice& slice = allocation.slices.emplace_back();
    slice.container = ask.container;
    slice.vendor = ask.spec->common_word;
    slice.device = node_->facts.devices[pick.device].id;
    slice.memory_mib = pick.memory_mib;
    slice.cores = pick.cores;
    slice.shape = pick.shape;
    if (pick.mig.profile != nullptr) {
      slice.mig.emplace();
      slice.mig->profile = pick.mig.profile->name;
      slice.mig->start = pick.mig.start;
      slice.mig->size = pick.mig.size;
    }
  }
  return allocation;
}

}  // namespace hami::placement
