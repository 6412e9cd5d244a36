// SPDX-License-Identifier: Apache-2.0

#include "domain/node_needs.h"

#include <algorithm>
#include <utility>

#include "domain/json_maps.h"

namespace hami::domain {
namespace {

// Of no expression and no field nothing is demanded, and yet such a term holds for no node.
bool HoldsFor(const NodeNeeds::Term& term, const std::string& node,
              const std::map<std::string, std::string>& labels) {
  if (term.labels.empty() && term.fields.empty()) return false;
  const std::map<std::string, std::string> fields = {{"metadata.name", node}};
  return std::ranges::all_of(term.labels, [&](const auto& each) { return each.Holds(labels); }) &&
         std::ranges::all_of(term.fields, [&](const auto& each) { return each.Holds(fields); });
}

}  // namespace

bool Toleration::Covers(const Taint& taint) const {
  if (!effect.empty() && effect != taint.effect) return false;
  if (!key.empty() && key != taint.key) return false;
  if (operation.empty() || operation == "Equal") return !key.empty() && value == taint.value;
  return true;  // Exists, or of a version that we do not know
}

bool NodeNeeds::MetBy(const std::string& node,
                      const std::map<std::string, std::string>& labels) const {
  for (const auto& [key, value] : selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return !has_affinity ||
         std::ranges::any_of(terms, [&](const Term& term) { return HoldsFor(term, node, labels); });
}

bool NodeNeeds::Tolerates(const std::vector<Taint>& taints) const {
  return std::ranges::all_of(taints, [this](const Taint& taint) {
    return std::ranges::any_of(tolerations,
                               [&](const Toleration& each) { return each.Covers(taint); });
  });
}

NodeNeeds ReadNodeNeeds(const json::Value& pod) {
  const json::Value spec = pod["spec"];
  NodeNeeds needs;
  needs.selector = ReadTexts(spec["nodeSelector"]);
  const json::Value affinity =
      spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
  needs.has_affinity = affinity.kind() == json::Kind::kObject;
  for (const json::Value term : affinity["nodeSelectorTerms"].Elements()) {
    needs.terms.push_back({.labels = ReadLabelExpressions(term["matchExpressions"]),
                           .fields = ReadLabelExpressions(term["matchFields"])});
  }
  for (const json::Value item : spec["tolerations"].Elements()) {
    needs.tolerations.push_back({.key = std::string(item["key"].Text()),
                                 .operation = std::string(item["operator"].Text()),
                                 .value = std::string(item["value"].Text()),
                                 .effect = std::string(item["effect"].Text())});
  }
  return needs;
}

std::vector<Taint> BarringTaints(const Node& node) {
  std::vector<Taint> taints;
  for (const Taint& taint : node.taints) {
    if (taint.effect == "NoSchedule" || taint.effect == "NoExecute") taints.push_back(taint);
  }
  const Taint cordoned = {"node.kubernetes.io/unschedulable", "", "NoSchedule"};
  if (node.unschedulable && std::ranges::find(taints, cordoned) == taints.end()) {
    taints.push_back(cordoned);
  }
  return taints;
}

}  // namespace hami::domain
