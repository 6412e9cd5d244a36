// SPDX-License-Identifier: Apache-2.0
//
// Decisions as annotations of a pod and back, over all vendors. Registry's functions of the same
// names say what they promise.

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/result.h"
#include "domain/allocation.h"
#include "domain/pod.h"
#include "vendor/spec.h"

namespace hami::vendor {

Result<domain::Allocation> ReadAllocation(std::span<const Spec> specs, const domain::Pod& pod);

std::map<std::string, std::string> WriteAllocation(std::span<const Spec> specs,
                                                   const domain::Pod& pod,
                                                   const domain::Allocation& allocation,
                                                   std::span<const Device> node_devices,
                                                   int64_t now_ns);

}  // namespace hami::vendor
