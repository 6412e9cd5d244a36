// SPDX-License-Identifier: Apache-2.0
//
// A live cluster as a scenario: its nodes, what its pods hold, its pending pods, its quotas. Reads
// with the caller's rights (list of nodes, pods, resourcequotas) and changes nothing. Waits for
// answers.

#pragma once

#include "base/result.h"
#include "kube/client.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::simulate {

// Pending pods are added only if `with_pending`. Objects that cannot be read are notes.
Status AddCluster(const vendor::Registry& registry, kube::Client* client, bool with_pending,
                  Scenario* scenario);

}  // namespace hami::simulate
