// SPDX-License-Identifier: Apache-2.0

#include "extender/priority_steps.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace hami::extender {
namespace {

constexpr int64_t kHighestPriority = 10;

}  // namespace

void SpreadOverSteps(const std::vector<placement::NodeScore>& scores,
                     std::vector<std::pair<std::string_view, int64_t>>* priorities) {
  if (scores.empty()) return;
  std::map<std::string_view, double> by_node;
  double low = scores.front().score;
  double high = low;
  for (const placement::NodeScore& score : scores) {
    by_node[score.node] = score.score;
    low = std::min(low, score.score);
    high = std::max(high, score.score);
  }
  for (auto& [node, priority] : *priorities) {
    const auto found = by_node.find(node);
    if (found == by_node.end()) continue;
    const double part = high > low ? (found->second - low) / (high - low) : 1.0;
    priority = std::lround(part * kHighestPriority);
  }
}

}  // namespace hami::extender
