// SPDX-License-Identifier: Apache-2.0

#include "placement/quota_scope.h"

#include <algorithm>
#include <optional>

#include "domain/quantity.h"

namespace hami::placement {
namespace {

using Operator = ScopeCondition::Operator;
using Trait = ScopeCondition::Trait;

std::optional<ScopeCondition> ConditionOf(std::string_view scope) {
  if (scope == "Terminating") return ScopeCondition{Trait::kDeadline, Operator::kExists, {}};
  if (scope == "NotTerminating") {
    return ScopeCondition{Trait::kDeadline, Operator::kDoesNotExist, {}};
  }
  if (scope == "BestEffort") return ScopeCondition{Trait::kBestEffort, Operator::kExists, {}};
  if (scope == "NotBestEffort") {
    return ScopeCondition{Trait::kBestEffort, Operator::kDoesNotExist, {}};
  }
  if (scope == "PriorityClass") return ScopeCondition{Trait::kPriorityClass, Operator::kExists, {}};
  return std::nullopt;
}

std::optional<Operator> OperatorOf(std::string_view word) {
  if (word == "Exists") return Operator::kExists;
  if (word == "DoesNotExist") return Operator::kDoesNotExist;
  if (word == "In") return Operator::kIn;
  if (word == "NotIn") return Operator::kNotIn;
  return std::nullopt;
}

bool Asks(const domain::ResourceTexts& texts) {
  return std::ranges::any_of(texts, [](const auto& entry) {
    if (entry.first != "cpu" && entry.first != "memory") return false;
    const Result<int64_t> value = domain::ParseMilliQuantity(entry.second);
    return !value || *value > 0;  // what does not fit is a lot
  });
}

// As labels are matched: who has no class is in none.
bool HoldsFor(const ScopeCondition& condition, bool has, std::string_view word) {
  const bool is_in = has && std::ranges::find(condition.values, word) != condition.values.end();
  switch (condition.op) {
    case Operator::kExists:
      return has;
    case Operator::kDoesNotExist:
      return !has;
    case Operator::kIn:
      return is_in;
    case Operator::kNotIn:
      return !is_in;
  }
  return true;
}

}  // namespace

ScopeTraits TraitsOf(const domain::Pod& pod) {
  ScopeTraits traits;
  traits.has_deadline = pod.has_deadline;
  traits.priority_class = pod.priority_class;
  traits.is_best_effort =
      std::ranges::none_of(pod.containers, [](const domain::PodContainer& container) {
        return Asks(container.limits) || Asks(container.requests);
      });
  return traits;
}

QuotaScope ReadScope(const json::Value& spec) {
  QuotaScope scope;
  for (const json::Value item : spec["scopes"].Elements()) {
    if (auto condition = ConditionOf(item.Text())) scope.push_back(*std::move(condition));
  }
  for (const json::Value item : spec["scopeSelector"]["matchExpressions"].Elements()) {
    std::optional<ScopeCondition> condition = ConditionOf(item["scopeName"].Text());
    const std::optional<Operator> op = OperatorOf(item["operator"].Text());
    if (!condition || !op) continue;
    // Of the others only Exists is allowed, which their word says already.
    if (condition->trait == Trait::kPriorityClass) condition->op = *op;
    for (const json::Value value : item["values"].Elements()) {
      condition->values.emplace_back(value.Text());
    }
    scope.push_back(*std::move(condition));
  }
  return scope;
}

bool Matches(const QuotaScope& scope, bool has_deadline, bool is_best_effort,
             std::string_view priority_class) {
  return std::ranges::all_of(scope, [&](const ScopeCondition& condition) {
    switch (condition.trait) {
      case Trait::kDeadline:
        return HoldsFor(condition, has_deadline, "");
      case Trait::kBestEffort:
        return HoldsFor(condition, is_best_effort, "");
      case Trait::kPriorityClass:
        return HoldsFor(condition, !priority_class.empty(), priority_class);
    }
    return true;
  });
}

bool Matches(const QuotaScope& scope, const ScopeTraits& traits) {
  return Matches(scope, traits.has_deadline, traits.is_best_effort, traits.priority_class);
}

}  // namespace hami::placement
