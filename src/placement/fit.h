// SPDX-License-Identifier: Apache-2.0
//
// Whether a pod fits on one node, and on which devices: the checks of contract 1.8 in their order,
// container by container on a scratch overlay of the node's use. Nothing of the index changes.
//
// Plain init containers are fitted one by one beside the sidecars that run by then and give back
// what they had; instances of MIG GPUs they keep, since a node makes all of a pod's at once.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "domain/allocation.h"
#include "placement/compiled.h"
#include "placement/index.h"
#include "placement/mig.h"
#include "placement/reasons.h"

namespace hami::placement {

// One slice as it was chosen.
struct Pick {
  uint16_t ask = 0;     // of CompiledRequest::asks
  uint16_t device = 0;  // of the node
  DeviceUse taken;
  int32_t memory_mib = 0;  // as it will stand in the slice
  int32_t cores = 0;
  MigChoice mig;  // without profile: no instance
  std::string shape;
};

// What a device would give.
struct Offer {
  Reason reason = Reason::kNone;  // kNone: it fits
  DeviceUse need;
  MigChoice mig;
};

// One per decision; goes from node to node. Its memory is used again.
class Fitter {
 public:
  // Steps of SearchFit in one decision, over all nodes: some milliseconds.
  static constexpr int kSearchSteps = 40'000;

  explicit Fitter(const CompiledRequest& compiled);

  // Whether the pod fits. `reasons`, if not null, gets those of the first container that does not.
  bool Fit(uint32_t node, ReasonCounts* reasons);

  // Whether the pod holds something on that node already.
  bool HoldsOwn(uint32_t node) const {
    return compiled_->own != nullptr && compiled_->own->node == node;
  }

  // Of the last Fit that held.
  domain::Allocation TakeAllocation() const;
  std::span<const Pick> picks() const { return picks_; }
  // What rules add to the node's score.
  double RuleScore() const;
  // Use of the node's devices with all that was picked and runs at the end (apps and sidecars).
  std::span<const DeviceUse> used() const { return used_; }

  // Of the last Fit that did not: the ask that found no room; asks.size() if none was tried.
  size_t failed_ask() const { return failed_ask_; }

  // The steps were used up before the last Fit that did not hold was searched to the end: it may be
  // wrong. And whether that was so for any.
  bool gave_up() const { return gave_up_; }
  bool gave_up_once() const { return gave_up_once_; }

  // What each device answered to the ask that found no room, by device of the node; while no
  // container was placed before it.
  bool has_offers() const { return has_offers_; }
  const Offer* offers() const { return offers_.data(); }

  // --- For search.cc, nearest.cc and rules ---
  void StartAgain();             // with the same node and no picks
  bool FitsAlone(uint16_t ask);  // without the containers before it; leaves no picks
  std::vector<DeviceRank> Ranked(const CompiledAsk& ask) const;  // all devices, best first
  std::vector<MigChoice> InstancesFor(const CompiledAsk& ask, uint16_t device) const;
  bool HasRoom(const CompiledAsk& ask, uint16_t device, const DeviceUse& need) const;
  bool TakeStep();  // of SearchFit; false: there are none left
  const CompiledRequest& compiled() const { return *compiled_; }
  // What it asks of this node: of another one it may be another number of devices.
  const vendor::Request& RequestOf(const CompiledAsk& ask) const {
    if (on_node_.empty()) return *ask.request;
    return on_node_[static_cast<size_t>(&ask - compiled_->asks.data())];
  }
  const NodeState& node() const { return *node_; }
  void Start(uint32_t node);
  Offer Check(const CompiledAsk& ask, uint16_t device) const;
  const DeviceUse& used(uint16_t device) const { return used_[device]; }
  void Take(uint16_t ask, uint16_t device, const Offer& offer);
  void UndoTo(size_t pick_count);
  // A plain init container gives back, but for instances, what it took from pick `first` on.
  void EndInit(size_t first);
  // Undoes EndInit.
  void ResumeInit(size_t first, size_t end);
  size_t pick_count() const { return picks_.size(); }
  uint64_t mig_taken(uint16_t device) const { return mig_taken_[device]; }

 private:
  struct Sum {
    int64_t memory_mib = 0;
    int64_t cores = 0;
  };

  void ReadRequests();
  bool FitAll(ReasonCounts* reasons);
  bool FitAsk(uint16_t number, ReasonCounts* reasons);
  RuleAsk RuleAskOf(const CompiledAsk& ask) const;
  bool Walk(uint16_t number, ReasonCounts* reasons);
  bool ChooseSet(uint16_t number, ReasonCounts* reasons);
  DeviceRank RankOf(uint16_t device, const DeviceUse& need) const;
  DeviceUse NeedFor(const CompiledAsk& ask, uint16_t device) const;
  bool WithinQuota(vendor::VendorId vendor, const DeviceUse& need) const;
  void Count(const Pick& pick, int sign);

  const CompiledRequest* compiled_;
  const NodeState* node_ = nullptr;
  std::vector<DeviceUse> used_;  // by device of the node
  std::vector<uint64_t> mig_taken_;
  std::vector<vendor::Request> on_node_;  // by ask; empty: as they stand in the request
  std::vector<Pick> picks_;
  // Of the ask at hand: what fits, best first, and what it would give.
  std::vector<DeviceRank> ranks_;
  std::vector<Offer> offers_;  // by device of the node
  bool has_offers_ = false;
  std::vector<Sum> sums_;  // what runs of this pod now, by vendor; empty without quotas
  size_t failed_ask_ = 0;
  uint32_t number_ = 0;  // of the node
  int search_steps_ = kSearchSteps;
  bool gave_up_ = false;
  bool gave_up_once_ = false;
};

// The devices of one vendor for rules.
class FitView final : public NodeView {
 public:
  FitView(const Fitter& fitter, const VendorRange& range) : fitter_(fitter), range_(range) {}
  const NodeFacts& facts() const override;
  size_t size() const override { return size_t{range_.end} - range_.begin; }
  const vendor::Device& device(size_t number) const override;
  DeviceUse use(size_t number) const override;
  std::vector<Tenant> Tenants(size_t number) const override;

 private:
  const Fitter& fitter_;
  const VendorRange& range_;
};

// When the walk finds no room for several containers: looks for another distribution, up to a bound
// of steps. True: the fitter's picks are one. search.cc.
bool SearchFit(Fitter* fitter);

}  // namespace hami::placement
