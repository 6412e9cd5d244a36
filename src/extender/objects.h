// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler wants of the API's objects: as little as decisions need. A pod is kept as a
// PodRecord (pod_record.h). Reads the wall clock, for what a node was asked (contract 1.4). The
// registry is shared and does not change.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/node.h"
#include "domain/pod.h"
#include "json/value.h"
#include "kube/object.h"
#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::extender {

struct PodEntry {
  kube::ObjectKey key;
  uint64_t version = 0;  // kube::VersionNumber
  // `node` is where it is bound, else where its annotations say that another scheduler put it.
  placement::PodFacts facts;
  bool bound = false;
  bool over = false;                          // Succeeded or Failed: it holds nothing
  bool terminating = false;                   // it holds until it is gone
  int64_t decided_s = 0;                      // hami.io/vgpu-time; of pods that are not bound
  std::map<std::string, std::string> labels;  // of pods that hold devices
  std::string problem;  // its allocation cannot be read; it counts as holding no device
};

struct NodeEntry {
  kube::ObjectKey key;
  placement::NodeFacts facts;
  bool takes_binding = false;         // its plugin reads the decision from the Binding
  std::vector<domain::Taint> taints;  // those that keep new pods away
  std::vector<std::string> problems;  // of its announcements
};

struct QuotaEntry {
  kube::ObjectKey key;
  placement::QuotaFacts facts;
};

// kInvalidArgument: no pod, or one without name or uid.
Result<PodEntry> ReadPodEntry(const vendor::Registry& registry, domain::Pod pod);
Result<PodEntry> ReadPodEntry(const vendor::Registry& registry, json::Value object);
NodeEntry ReadNodeEntry(const vendor::Registry& registry, domain::Node node);
Result<NodeEntry> ReadNodeEntry(const vendor::Registry& registry, json::Value object);
// Of a protobuf message.
Result<NodeEntry> ReadNodeEntry(const vendor::Registry& registry, std::string_view message);
Result<QuotaEntry> ReadQuotaEntry(const vendor::Registry& registry, json::Value object);

// What a pod takes of its node, given its request; nothing of devices yet.
placement::PodFacts FactsOf(const domain::Pod& pod, const placement::Request& request);

}  // namespace hami::extender
