// SPDX-License-Identifier: Apache-2.0
//
// Which devices a request may have at all, as far as it can be said without evaluating CEL: a
// selector of the plain form `device.driver == "X"`, alone or joined by &&, admits devices of one
// driver only. Everything else admits every device, and is shown to the reader. Pure.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/nearest_fit.h"
#include "domain/resource_claim.h"
#include "explain/facts.h"

namespace hami::explain {

// "X" if the expression cannot hold for devices of other drivers.
std::optional<std::string> DriverOfSelector(std::string_view expression);

const ClassFacts* FindClass(const ClusterFacts& cluster, std::string_view name);

// The one driver whose devices the request may have; empty: any.
std::string DriverOfRequest(const domain::DeviceRequest& request, const ClusterFacts& cluster);

// Devices of the driver, in pools that are complete. Both arguments outlive the function.
domain::Eligible EligibleIn(const ClusterFacts& cluster, const domain::DevicePools& pools);

}  // namespace hami::explain
