// SPDX-License-Identifier: Apache-2.0
//
// Which node came closest to taking a pod, and what it lacks there, card by card. Every container's
// request is looked at on the node as it is now, without the pod's other containers.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "placement/cluster.h"
#include "placement/compiled.h"
#include "placement/fit.h"

namespace hami::placement {

// How far a node is from taking the pod.
struct NodeDistance {
  int64_t missing = 0;  // cards
  double lack = 0;      // of the missing ones, 1 for all that was asked or for another reason

  bool operator<(const NodeDistance& other) const {
    return missing != other.missing ? missing < other.missing : lack < other.lack;
  }
};

class NearestSearch {
 public:
  explicit NearestSearch(const CompiledRequest& compiled);

  // Of a node that does not fit; `tried` has just found that out, on this node or another. None if
  // it has no device of the vendors asked.
  std::optional<NodeDistance> Measure(uint32_t node, const Fitter& tried);
  // Another node that does not fit.
  void Consider(uint32_t node, const NodeDistance& distance);

  // Of the nodes considered: the one with the fewest cards missing; among those the one whose
  // missing cards lack the smallest part of what was asked; among those the first. None if no node
  // has a device of the vendors asked.
  std::optional<NearestMiss> Take();

 private:
  // Of one ask; `offers` by device of the node, or null: they are asked for.
  void Add(const Fitter& fitter, const CompiledAsk& ask, const VendorRange& range,
           const Offer* offers, NodeDistance* distance);

  const CompiledRequest& compiled_;
  Fitter fitter_;
  std::vector<double> lacks_;  // of the devices at hand
  std::optional<NodeDistance> best_;
  uint32_t best_node_ = 0;
};

}  // namespace hami::placement
