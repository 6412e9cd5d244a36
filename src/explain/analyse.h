// SPDX-License-Identifier: Apache-2.0
//
// From facts to an explanation. Structural causes (no class, nothing published, sharing off) come
// before what lacks room. Pure.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "explain/explanation.h"
#include "explain/facts.h"

namespace hami::explain {

Explanation Analyse(const ClaimFacts& facts, const ClusterFacts& cluster);

// Pods that hold what the claim lacks, as "namespace/name": their phases are worth asking for.
std::vector<std::string> HoldingPods(const Explanation& explanation);
void SetPhases(const std::map<std::string, std::string>& phases, Explanation* explanation);

}  // namespace hami::explain
