// SPDX-License-Identifier: Apache-2.0
//
// Whether a namespace's quotas have room for a pod (contract hami-control-plane.md 1.11). A
// percentage of a device counts nothing here, because nobody knows yet of which device; the
// extender counts it. Pure; any thread.

#pragma once

#include <span>

#include "base/result.h"
#include "domain/pod.h"
#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::webhook {

// kResourceExhausted says which resource, how much is left and how much is asked; kInvalidArgument
// is RequestsOf's. `uses` may be of any namespaces.
Status CheckQuota(const vendor::Registry& registry, const domain::Pod& pod,
                  std::span<const placement::QuotaUse> uses);

}  // namespace hami::webhook
