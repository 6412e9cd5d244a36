// SPDX-License-Identifier: Apache-2.0
//
// Devices of one container as a list of their indexes, for plugins that want numbers.

#pragma once

#include <string>
#include <vector>

#include "vendor/spec.h"

namespace hami::vendor {

// "0,1", in the order in which they were chosen. A device that the node no longer announces is left
// out.
std::string DeviceIndexes(const Grant& grant, const std::vector<const domain::Slice*>& slices);

}  // namespace hami::vendor
