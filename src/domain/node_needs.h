// SPDX-License-Identifier: Apache-2.0
//
// What a pod demands of its node besides resources: nodeSelector, required node affinity, and which
// taints it tolerates (core/v1). kube-scheduler decides it; here it tells which pods need not be
// woken for a node. So what is not understood counts as met. Pure.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "domain/label_expression.h"
#include "domain/node.h"
#include "json/value.h"

namespace hami::domain {

struct Toleration {
  std::string key;  // empty, with Exists: every taint
  std::string operation;
  std::string value;
  std::string effect;  // empty: every effect

  bool Covers(const Taint& taint) const;
  bool operator==(const Toleration&) const = default;
};

struct NodeNeeds {
  std::map<std::string, std::string> selector;
  // requiredDuringSchedulingIgnoredDuringExecution: one of the terms has to hold, in it everything.
  struct Term {
    std::vector<LabelExpression> labels;
    std::vector<LabelExpression> fields;  // metadata.name is the only one there is
    bool operator==(const Term&) const = default;
  };
  bool has_affinity = false;  // without terms no node will do
  std::vector<Term> terms;
  std::vector<Toleration> tolerations;

  // Whether the node's labels are no matter.
  bool TakesAnyLabels() const { return selector.empty() && !has_affinity; }
  bool MetBy(const std::string& node, const std::map<std::string, std::string>& labels) const;
  bool Tolerates(const std::vector<Taint>& taints) const;

  bool operator==(const NodeNeeds&) const = default;
};

// Of a pod. What has another type than it should reads as absent.
NodeNeeds ReadNodeNeeds(const json::Value& pod);

// The taints that keep new pods away: effects NoSchedule and NoExecute, and cordoning, which
// kube-scheduler sees as a taint.
std::vector<Taint> BarringTaints(const Node& node);

}  // namespace hami::domain
