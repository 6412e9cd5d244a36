// SPDX-License-Identifier: Apache-2.0
//
// Reads all pods from the API at once and compares them with what is held: beside the watch, which
// should have said the same. Waits for answers; any thread but the client's, one at a time.

#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "base/result.h"
#include "extender/cluster_state.h"
#include "kube/client.h"
#include "vendor/registry.h"

namespace hami::extender {

// A consistent list: it has every write that was answered before the call. What is held otherwise
// is taken over; `patience` comes before, in which the watch may say it first. Returns how many
// pods it did not.
Result<ClusterState::Differences> Reconcile(kube::Client& client, const vendor::Registry& registry,
                                            const std::function<void()>& patience,
                                            ClusterState* state);

// Asks after the pods of reservations that should have been seen on a node by now. One whose answer
// cannot be read keeps its room, and is asked after again; it holds up no other.
void AskAfter(kube::Client& client, const vendor::Registry& registry,
              const std::vector<Reservation>& overdue, ClusterState* state);

}  // namespace hami::extender
