// SPDX-License-Identifier: Apache-2.0
//
// What a ResourceQuota says about vendors' memory and cores. Pure.

#pragma once

#include "base/result.h"
#include "json/value.h"
#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::placement {

// Limits on anything else, and those that are no number from 0, are left out, as in HAMi (contract
// 1.11). kInvalidArgument: the object has no name.
Result<QuotaFacts> ReadQuota(const vendor::Registry& registry, const json::Value& object);

}  // namespace hami::placement
