// SPDX-License-Identifier: Apache-2.0
//
// From Kubernetes' objects to what is simulated: Nodes, Pods, what makes pods (Deployment,
// ReplicaSet, StatefulSet, ReplicationController, Job), and ResourceQuotas. A Pod that is bound
// holds what its annotations say. Pure.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/node.h"
#include "domain/pod.h"
#include "json/value.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::simulate {

// Adds one object. Other kinds are a note. `source` is "pods.yaml:12"; kInvalidArgument begins with
// it.
Status AddObject(const vendor::Registry& registry, const std::string& source,
                 const json::Value& object, Scenario* scenario);
// Of this kind, where the object itself does not say it: an item of an API server's list.
Status AddObject(const vendor::Registry& registry, const std::string& source, std::string_view kind,
                 const json::Value& object, Scenario* scenario);

// A node as placement wants it. What cannot be read of its devices is a note.
placement::NodeFacts FactsOf(const vendor::Registry& registry, const domain::Node& node,
                             std::vector<std::string>* notes);

// A pod that is bound. Forged or malformed annotations: it holds CPU and memory alone, and a note
// says so.
placement::PodFacts FactsOf(const vendor::Registry& registry, const domain::Pod& pod,
                            std::vector<std::string>* notes);

}  // namespace hami::simulate
