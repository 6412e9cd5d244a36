// SPDX-License-Identifier: Apache-2.0
//
// What is simulated: nodes, pods that already run there, pods that want to, and what namespaces may
// hold. Plain values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/pod.h"
#include "placement/cluster.h"

namespace hami::simulate {

struct WantedPod {
  domain::Pod pod;
  std::string source;              // "pods.yaml:12"
  double arrives_s = 0;            // from the start
  std::optional<double> leaves_s;  // none: it stays
};

struct Scenario {
  std::vector<placement::NodeFacts> nodes;
  std::vector<placement::PodFacts> running;
  std::vector<WantedPod> pods;
  std::vector<placement::QuotaFacts> quotas;
  bool timed = false;              // arrivals and departures were said
  std::vector<std::string> notes;  // what was left out and why, one line each
};

}  // namespace hami::simulate
