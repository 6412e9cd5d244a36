// SPDX-License-Identifier: Apache-2.0
//
// kScoringWeights: how much slots, cores and memory count in a device's score (contract
// hami-control-plane.md 1.7). Pure.

#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace hami::domain {

struct ScoringWeights {
  int32_t slot = 1;
  int32_t core = 1;
  int32_t memory = 1;

  bool operator==(const ScoringWeights&) const = default;
};

// "slot=1,core=1,memory=3": each of the three once, in any order, whole numbers from 0, not all 0;
// spaces around names and numbers. Anything else is kInvalidArgument and says what is allowed.
Result<ScoringWeights> ParseScoringWeights(std::string_view text);

}  // namespace hami::domain
