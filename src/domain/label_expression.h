// SPDX-License-Identifier: Apache-2.0
//
// One matchExpressions entry of Kubernetes' selectors: of PodDisruptionBudgets (meta/v1
// LabelSelectorRequirement) and of node affinity (core/v1 NodeSelectorRequirement). Pure.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "json/value.h"

namespace hami::domain {

struct LabelExpression {
  std::string key;
  std::string operation;  // In, NotIn, Exists, DoesNotExist; of nodes also Gt, Lt
  std::vector<std::string> values;

  // An absent label is not in any list, as in Kubernetes. An operation of a later version holds.
  bool Holds(const std::map<std::string, std::string>& labels) const;

  bool operator==(const LabelExpression&) const = default;
};

// What has another type than it should reads as absent.
std::vector<LabelExpression> ReadLabelExpressions(const json::Value& list);

}  // namespace hami::domain
