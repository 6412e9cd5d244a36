// SPDX-License-Identifier: Apache-2.0
//
// Scores of nodes as kube-scheduler's extenders say them. Pure.

#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "placement/cluster.h"

namespace hami::extender {

// The eleven steps that /prioritize has: 0 for the worst of `scores`, 10 for the best, the others
// in proportion. A node without a score keeps what stands there.
void SpreadOverSteps(const std::vector<placement::NodeScore>& scores,
                     std::vector<std::pair<std::string_view, int64_t>>* priorities);

}  // namespace hami::extender
