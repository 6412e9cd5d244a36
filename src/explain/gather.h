// SPDX-License-Identifier: Apache-2.0
//
// From the API server to facts, with the rights of whoever asks: what they may not read becomes a
// gap, and the rest goes on. Other errors end it. From one thread; waits for answers.

#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "explain/facts.h"
#include "explain/placing.h"
#include "kube/client.h"
#include "kube/object.h"

namespace hami::explain {

class Gatherer {
 public:
  explicit Gatherer(kube::Client* client) : client_(*client) {}

  // The claim alone; the first thing to ask for, because it finds a wrong address soon. A claim
  // that is not there is no error.
  Result<ClaimFacts> Claim(const kube::ObjectKey& key);
  Result<PodFacts> Pod(const kube::ObjectKey& key);
  // The pod once more, and where it asks for devices: nodes, and what all pods hold. Pods of other
  // namespaces that may not be listed are a gap.
  Result<PlacingFacts> Placing(const vendor::Registry& registry, const kube::ObjectKey& key);

  // Classes, slices, and the claims of all namespaces, or of this one.
  Result<ClusterFacts> Cluster(const std::string& name_space);

  // What there is instead of a claim that is not there; before AddPods.
  void AddNeighbours(const ClusterFacts& cluster, ClaimFacts* facts);
  // Pods that use the claim, with warnings of those that do not run.
  Status AddPods(ClaimFacts* facts);
  // For a cluster in which our driver publishes nothing.
  Status AddNodes(ClusterFacts* cluster);
  Status AddWarnings(PodFacts* pod, std::vector<Gap>* gaps);

  // Of pods "namespace/name"; those that cannot be read are left out.
  std::map<std::string, std::string> Phases(const std::vector<std::string>& pods);

 private:
  // All objects of a type; a refusal becomes a gap and false.
  Result<bool> Read(const kube::ResourceType& type, const kube::ListOptions& options,
                    const std::string& what, std::vector<Gap>* gaps,
                    const kube::Client::Visit& visit, const std::function<void()>& restart);
  Result<std::string> Get(const kube::ResourceType& type, const kube::ObjectKey& key);

  kube::Client& client_;
};

}  // namespace hami::explain
