// SPDX-License-Identifier: Apache-2.0
//
// The published experiment on a trace (arrivals alone, to 130 % of the GPUs), and the same with
// pods that leave: for our policies by the real placement code, for others by fgd.h, on the same
// arrivals. Threads: any, each on a Trace that nobody changes.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "bench/openb/fgd.h"
#include "placement/request.h"
#include "simulate/draw.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::bench {

struct Trace {
  std::string name;
  simulate::Scenario scenario;  // nodes and pods by name
  std::vector<double> asked;    // GPUs, by pod
  std::vector<PeerNode> peer_nodes;
  std::vector<PeerPod> peer_pods;
  double gpus = 0;
};

Result<Trace> LoadTrace(const vendor::Registry& registry, const std::string& folder,
                        const std::string& name);

struct Ours {
  placement::Policy policy;
  bool native_by_policy = true;
};

struct Contender {
  std::string name;
  std::variant<Ours, Peer> how;
};

enum class Course : uint8_t {
  kArrivals,  // none leaves
  kTurnover,  // GPUs asked for at any time: 100 % of all
};

// In percent of all GPUs.
struct Score {
  double at_100 = 0;  // allocated when 100 % was asked for
  double at_130 = 0;
  std::array<double, 4> fragments{};  // when 50, 80, 90, 100 % was asked for
  double mean = 0;                    // kTurnover: over time
  double lost = 0;                    // kTurnover: of what was asked for
  double decision_us = 0;             // mean; ours alone
  double p99_us = 0;
};

Score Play(const vendor::Registry& registry, const Trace& trace, const Contender& contender,
           Course course, uint64_t seed);

}  // namespace hami::bench
