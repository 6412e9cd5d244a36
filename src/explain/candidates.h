// SPDX-License-Identifier: Apache-2.0
//
// One device seen by one request: what is free of each capacity, what is missing, who holds it.
// Pure.

#pragma once

#include <vector>

#include "domain/device_pool.h"
#include "domain/nearest_fit.h"
#include "domain/resource_claim.h"
#include "explain/explanation.h"

namespace hami::explain {

DeviceName NameOf(const domain::PooledDevice& device);

// In the device's notation; asked names that it does not have in a notation that suits them.
std::vector<NamedAmount> NotedAmounts(const domain::PooledDevice* device,
                                      const std::map<std::string, int64_t>& amounts);

// What is free of each capacity.
std::vector<NamedAmount> FreeOf(const domain::PooledDevice& device);

Candidate Compare(const domain::Candidate& candidate, const domain::DeviceRequest& request,
                  const std::vector<domain::ResourceClaim>& claims);

}  // namespace hami::explain
