// SPDX-License-Identifier: Apache-2.0
//
// MetaX, whole cards: the node says what taking n cards costs it in links, or how well n cards are
// linked: annotations of JSON like {"1":100,"2":321}.

#include <optional>
#include <string>

#include "json/value.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

constexpr const char* kLossesKey = "metax-tech.com/gpu.topology.losses";
constexpr const char* kScoresKey = "metax-tech.com/gpu.topology.scores";
constexpr double kMostLoss = 2000;

std::optional<double> ValueOf(const NodeFacts& node, const char* key, size_t count) {
  const auto found = node.annotations.find(key);
  if (found == node.annotations.end()) return std::nullopt;
  json::Document document;
  if (!document.Parse(found->second)) return std::nullopt;
  const json::Value value = document.root()[std::to_string(count)];
  if (value.kind() != json::Kind::kNumber) return std::nullopt;
  return value.Real();
}

class MetaxWhole final : public Rule {
 public:
  bool ScoresNodes(const RuleAsk& /*ask*/) const override { return true; }

  double ScoreNode(const RuleAsk& ask, const NodeView& node,
                   std::span<const uint16_t> chosen) const override {
    // The pod's cards count together; each container adds its share of the value.
    size_t count = 0;
    for (size_t i = 0; i < node.size(); ++i) {
      for (const Tenant& tenant : node.Tenants(i)) count += tenant.same_pod ? 1 : 0;
    }
    if (count == 0) return 0;
    const double share = static_cast<double>(chosen.size()) / static_cast<double>(count);
    const std::optional<double> loss = ValueOf(node.facts(), kLossesKey, count);
    const std::optional<double> score = ValueOf(node.facts(), kScoresKey, count);
    const bool by_score = score && (!loss || ask.pod.policy.node == NodePolicy::kSpread);
    if (by_score) return share * *score;
    return loss ? share * (kMostLoss - *loss) : 0;
  }
};

}  // namespace

const Rule& MetaxWholeRule() {
  static const MetaxWhole rule;
  return rule;
}

}  // namespace hami::placement
