// SPDX-License-Identifier: Apache-2.0
//
// Ascend (contract 6.2): the soft split only where a node allows it, 910C by whole pairs, several
// 910s from one network group if that can be.

#include <algorithm>
#include <map>
#include <string>

#include "domain/go_bool.h"
#include "placement/rules/rules.h"
#include "vendor/strategies.h"

namespace hami::placement {
namespace {

constexpr const char* kNodeSoftKey = "hami-vnpu-core";
constexpr double kGroupWeight = 10;

bool IsSoft(const RuleAsk& ask) { return ask.request.shape.name == vendor::kAscendSoft; }

// Chips of this family have network groups.
bool HasNetwork(const vendor::Spec& spec) { return spec.common_word.starts_with("Ascend910"); }

bool AllGrouped(const NodeView& node) {
  for (size_t i = 0; i < node.size(); ++i) {
    if (node.device(i).group < 0) return false;
  }
  return node.size() > 0;
}

// Of `fitting`, those whose other half fits as well; halves stand together, the better one first.
std::vector<uint16_t> WholePairs(const NodeView& node, std::span<const uint16_t> fitting) {
  std::map<int32_t, std::vector<uint16_t>> pairs;
  for (const uint16_t number : fitting) pairs[node.device(number).index / 2].push_back(number);
  std::vector<uint16_t> whole;
  for (const uint16_t number : fitting) {
    const std::vector<uint16_t>& pair = pairs[node.device(number).index / 2];
    if (pair.size() == 2 && pair.front() == number) {
      whole.insert(whole.end(), pair.begin(), pair.end());
    }
  }
  return whole;
}

class Ascend final : public Rule {
 public:
  Reason RefuseNode(const RuleAsk& ask, const NodeView& node) const override {
    if (!IsSoft(ask)) return Reason::kNone;
    bool allowed = ask.spec.soft_split;
    const auto& annotations = node.facts().annotations;
    if (const auto found = annotations.find(kNodeSoftKey); found != annotations.end()) {
      allowed = domain::ParseGoBool(found->second).value_or(false);
    }
    return allowed ? Reason::kNone : Reason::kModeNotFit;
  }

  bool ChoosesSets(const RuleAsk& ask) const override {
    return ask.request.count > 1 && (ask.spec.units.in_pairs || HasNetwork(ask.spec));
  }

  std::vector<uint16_t> ChooseSet(const RuleAsk& ask, const NodeView& node,
                                  std::span<const uint16_t> fitting) const override {
    const auto count = static_cast<size_t>(ask.request.count);
    std::vector<uint16_t> units(fitting.begin(), fitting.end());
    if (ask.spec.units.in_pairs) units = WholePairs(node, fitting);
    if (units.size() < count) return {};
    // Both halves of a pair are in one group, so taking an even number breaks none.
    if (AllGrouped(node)) return ChooseByGroup(node, units, count);
    units.resize(count);
    return units;
  }

  bool ScoresNodes(const RuleAsk& ask) const override {
    return ask.request.count > 1 && HasNetwork(ask.spec);
  }

  // The share of the devices that is in one group.
  double ScoreNode(const RuleAsk& /*ask*/, const NodeView& node,
                   std::span<const uint16_t> chosen) const override {
    if (chosen.empty() || !AllGrouped(node)) return 0;
    std::map<int32_t, int32_t> counts;
    int32_t most = 0;
    for (const uint16_t number : chosen) {
      most = std::max(most, ++counts[node.device(number).group]);
    }
    return kGroupWeight * most / static_cast<double>(chosen.size());
  }
};

}  // namespace

const Rule& AscendRule() {
  static const Ascend rule;
  return rule;
}

}  // namespace hami::placement
