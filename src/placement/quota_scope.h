// SPDX-License-Identifier: Apache-2.0
//
// Which pods a ResourceQuota is about: its scopes, as core/v1 has them. Pure.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "domain/pod.h"
#include "json/value.h"

namespace hami::placement {

// What scopes ask of a pod.
struct ScopeTraits {
  bool has_deadline = false;    // activeDeadlineSeconds: scope Terminating
  bool is_best_effort = false;  // no container asks for CPU or memory
  std::string priority_class;   // empty: none

  bool operator==(const ScopeTraits&) const = default;
};
ScopeTraits TraitsOf(const domain::Pod& pod);

struct ScopeCondition {
  enum class Trait : uint8_t { kDeadline, kBestEffort, kPriorityClass };
  enum class Operator : uint8_t { kExists, kDoesNotExist, kIn, kNotIn };

  Trait trait = Trait::kDeadline;
  Operator op = Operator::kExists;
  std::vector<std::string> values;  // of priority classes

  bool operator==(const ScopeCondition&) const = default;
};

// All must hold; none: every pod.
using QuotaScope = std::vector<ScopeCondition>;

// `spec` is a ResourceQuota's. Scopes that are about other things than devices, or unknown, do not
// narrow it: a limit may hold for too many pods, never for too few.
QuotaScope ReadScope(const json::Value& spec);
bool Matches(const QuotaScope& scope, bool has_deadline, bool is_best_effort,
             std::string_view priority_class);
bool Matches(const QuotaScope& scope, const ScopeTraits& traits);

}  // namespace hami::placement
