// SPDX-License-Identifier: Apache-2.0
//
// Which node: summaries first, then the candidates by their score, and the exact fit only until one
// holds.

#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "placement/cluster.h"
#include "placement/fragment_search.h"
#include "placement/index.h"
#include "placement/misfits.h"

namespace hami::placement {

// `fragments` serves NodePolicy::kFragmentation, `memory` requests that fit nowhere.
Decision ChooseNode(const ClusterIndex& index, const Request& request,
                    std::span<const std::string_view> nodes, FragmentSearch* fragments,
                    MisfitMemory* memory);

std::vector<NodeScore> FittingNodes(const ClusterIndex& index, const Request& request,
                                    std::span<const std::string_view> nodes,
                                    FragmentSearch* fragments, MisfitMemory* memory,
                                    std::vector<Misfit>* misfits);

}  // namespace hami::placement
