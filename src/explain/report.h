// SPDX-License-Identifier: Apache-2.0
//
// What one run of `hami explain` found: one claim, or a pod with all of its claims. Plain values.

#pragma once

#include <optional>
#include <vector>

#include "explain/explanation.h"
#include "explain/facts.h"
#include "explain/placing.h"

namespace hami::explain {

struct Report {
  std::optional<PodFacts> pod;  // what was asked about, unless it was a claim
  std::vector<Explanation> claims;
  std::optional<Placing> placing;  // of a pod that asks for devices by extended resources
};

}  // namespace hami::explain
