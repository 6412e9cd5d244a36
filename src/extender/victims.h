// SPDX-License-Identifier: Apache-2.0
//
// Which pods have to leave a node so that another fits: as few as possible, of the lowest priority,
// and none that a PodDisruptionBudget keeps. Pure.
//
// Exact for up to two victims; beyond that none of them could be spared, though there may be fewer
// or lower ones. Held against a search of all sets in victims_test.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/allocation.h"
#include "placement/cluster.h"

namespace hami::extender {

struct Candidate {
  placement::PodFacts facts;
  bool terminating = false;          // leaves anyway: costs nothing
  std::vector<std::string> budgets;  // names of PodDisruptionBudgets that count it
};

// How many more pods each budget lets go.
using Budgets = std::map<std::string, int64_t>;

struct VictimChoice {
  std::string node;
  std::vector<Candidate> victims;  // that do not leave anyway, lowest priority first
  domain::Allocation allocation;   // what the pod gets once they are gone
};

// On one node. `pods` are all that are there. None: it would not fit even if all that may be told
// to leave were gone.
std::optional<VictimChoice> ChooseVictims(const vendor::Registry& registry,
                                          const placement::Request& request, int32_t priority,
                                          const placement::NodeFacts& node,
                                          const std::vector<Candidate>& pods,
                                          const Budgets& budgets);

// Whether the request fits on the node once the pods of these uids are gone.
bool FitsWithout(const vendor::Registry& registry, const placement::Request& request,
                 const placement::NodeFacts& node, const std::vector<placement::PodFacts>& pods,
                 std::span<const std::string_view> gone);

// Fewer victims; the highest of their priorities is lower; the sum is; then the node's name.
bool IsBetter(const VictimChoice& a, const VictimChoice& b);

}  // namespace hami::extender
