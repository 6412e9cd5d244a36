// SPDX-License-Identifier: Apache-2.0
//
// Who holds what of which node, over placement::Cluster, which alone knows it: this says when room
// comes free, and of which priorities the holders are. One thread, or under the caller's lock.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::extender {

class Holdings {
 public:
  explicit Holdings(const vendor::Registry& registry) : cluster_(registry) {}

  // What `uid` holds from now on, whatever uid the facts have; the node on which that left room.
  std::optional<std::string> Put(const std::string& uid, placement::PodFacts facts);
  // It holds nothing any more; the node on which it did.
  std::optional<std::string> Remove(const std::string& uid);

  // Whether a pod of lower priority holds devices.
  bool HasBelow(int32_t priority) const;

  // Nodes and quotas come and go here; pods by Put and Remove.
  placement::Cluster& cluster() { return cluster_; }
  const placement::Cluster& cluster() const { return cluster_; }

 private:
  void Uncount(const placement::PodFacts& before);

  placement::Cluster cluster_;
  std::map<int32_t, size_t> priorities_;  // of pods that hold devices: how many have it
};

}  // namespace hami::extender
