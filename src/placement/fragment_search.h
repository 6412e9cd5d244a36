// SPDX-License-Identifier: Apache-2.0
//
// The node and device for NodePolicy::kFragmentation: the placement after which the least is lost
// to fragments (fragmentation.h). Every candidate is judged by the cheap part of the measure, the
// best of them by all of it. What was judged is kept per kind of request and node until the node
// changes, so that a decision costs what has changed and not what there is.
//
// Names decide nothing, nor does the order in which nodes were put: between nodes of equal cost it
// is a hash of what they have free, and those with the same hash are alike in all that is measured.
// Where pods leave, nodes have an order that stays: that in which they were first used.
// Any thread; callers are let in one by one.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "placement/compiled.h"
#include "placement/fit.h"
#include "placement/fragmentation.h"

namespace hami::placement {

class FragmentSearch {
 public:
  FragmentSearch();

  // Each uid counts once; an empty one never. Pods that wait count too: else the mix would forget
  // those that fragments keep out.
  void Observe(std::string_view uid, const PodShape& shape);

  // A pod that had room has gone.
  void ObserveDeparture();

  // A pod with devices is on the node: if it is the first ever, the node comes next in the order of
  // use. One that takes the number of a node that is gone takes its place in the order too.
  void ObserveUse(uint32_t node);

  // The best of the nodes, all of which may fit by their summaries; kNone if none fits. The
  // fitter's picks are those of the node. `cost` is in devices lost, lower is better.
  uint32_t Choose(const CompiledRequest& compiled, std::span<const uint32_t> nodes, Fitter* fitter,
                  double* cost);

  // The cheap part alone, of a node on which the fitter's last Fit held.
  double CostOf(const CompiledRequest& compiled, uint32_t node, const Fitter& fitter);

 private:
  struct Judged {
    uint64_t version = 0;  // of the node; 0: never
    float cost = 0;
    uint16_t mix = 0;
    bool fits = false;
    uint8_t devices = 0;               // of a request for one: how many of the next are known
    std::array<uint16_t, 2> device{};  // the cheapest by the cheap part
  };
  // A node as it is, and what it loses.
  struct Known {
    uint64_t version = 0;  // of room, places and content
    NodeRoom room;
    std::vector<uint16_t> places;  // of the room's devices on the node
    uint64_t content = 0;          // a hash of what the node has free, of what kind; no names
    uint32_t mix = 0;              // of what follows
    double cheap = 0;
    double full = -1;  // below 0: not asked for yet
  };
  struct Row {
    std::vector<Judged> nodes;
    uint64_t used = 0;  // when last
  };
  struct Option {
    uint16_t device = 0;
    Offer offer;
    double cost = 0;  // by the cheap part
  };

  // Null: what is asked depends on more than the node, and nothing is kept.
  Row* RowOf(const CompiledRequest& compiled);
  Judged Judge(const CompiledRequest& compiled, uint32_t node, Fitter* fitter);
  // By the whole measure; the fitter's picks are the best.
  double Refine(const CompiledRequest& compiled, uint32_t node, const Judged& judged,
                Fitter* fitter);
  // The node to be judged becomes `before_`, up to date.
  void Enter(const CompiledRequest& compiled, uint32_t node);
  double FullLossBefore();
  // `before_` with the fitter's picks, or with one device's use changed, into `after_`.
  void RoomAfter(const CompiledRequest& compiled, const Fitter& fitter);
  void RoomWith(const CompiledRequest& compiled, uint16_t device, const DeviceUse& used);
  // Ways to serve a request for one device, of equal ones one; cheapest first.
  void FindOptions(const CompiledRequest& compiled, uint32_t node, double loss_before,
                   Fitter* fitter);
  double CheapCost(double loss_before);
  // By the whole measure.
  double FullCost(double loss_before);
  double Leftover() const;  // of `after_`

  std::mutex mutex_;
  Fragmentation measure_;
  std::vector<uint64_t> seen_;  // hashes of uids
  std::unordered_map<std::string, std::unique_ptr<Row>> rows_;
  std::vector<Known> known_;            // by node
  std::vector<uint32_t> place_in_use_;  // by node, from 1 on in the order of use; 0: never used
  uint32_t used_nodes_ = 0;
  Known passing_;  // a node that a pod is leaving
  uint64_t clock_ = 0;
  std::string key_;
  // Space that is used again and again.
  const NodeState* node_ = nullptr;
  uint32_t number_ = 0;  // of node_
  Known* before_ = nullptr;
  NodeRoom after_;
  std::vector<Option> options_;
  std::vector<std::tuple<float, uint64_t, uint32_t>> order_;  // cost, content, node
  std::vector<Judged> unkept_;                                // by node, of a request without a row
};

// What a pod that is on a node holds, as what was asked for.
PodShape ShapeOf(const vendor::Registry& registry, const PodFacts& pod, const NodeFacts* node);

}  // namespace hami::placement
