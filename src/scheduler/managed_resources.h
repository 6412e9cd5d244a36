// SPDX-License-Identifier: Apache-2.0
//
// What kube-scheduler must leave to us: the part `managedResources` of the extender in its
// configuration. Pure.

#pragma once

#include <string>

#include "vendor/registry.h"

namespace hami::scheduler {

// One line of YAML for each resource of the registry, indented as deploy/classic has them.
std::string ManagedResourcesText(const vendor::Registry& registry);

}  // namespace hami::scheduler
