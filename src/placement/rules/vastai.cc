// SPDX-License-Identifier: Apache-2.0
//
// Vastai: where devices are dies, those of one AIC (card) go together.

#include <algorithm>
#include <map>

#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

bool AreDies(const NodeView& node) {
  if (node.size() == 0) return false;
  const auto& extra = node.device(0).extra;
  const auto found = extra.find("DeviceStrategy");
  return found != extra.end() && found->second == "die";
}

class Vastai final : public Rule {
 public:
  bool ChoosesSets(const RuleAsk& ask) const override { return ask.request.count > 1; }

  std::vector<uint16_t> ChooseSet(const RuleAsk& ask, const NodeView& node,
                                  std::span<const uint16_t> fitting) const override {
    if (!AreDies(node)) return Rule::ChooseSet(ask, node, fitting);
    return ChooseByGroup(node, fitting, static_cast<size_t>(ask.request.count));
  }

  bool ScoresNodes(const RuleAsk& ask) const override { return ask.request.count > 1; }

  // The share of the dies that is on one AIC.
  double ScoreNode(const RuleAsk& /*ask*/, const NodeView& node,
                   std::span<const uint16_t> chosen) const override {
    if (chosen.empty() || !AreDies(node)) return 0;
    std::map<int32_t, int32_t> counts;
    int32_t most = 0;
    for (const uint16_t number : chosen) {
      if (node.device(number).group < 0) return 0;
      most = std::max(most, ++counts[node.device(number).group]);
    }
    return most / static_cast<double>(chosen.size());
  }
};

}  // namespace

const Rule& VastaiRule() {
  static const Vastai rule;
  return rule;
}

}  // namespace hami::placement
