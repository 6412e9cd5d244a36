// SPDX-License-Identifier: Apache-2.0

#include "extender/victim_review.h"

#include <chrono>
#include <optional>
#include <thread>

#include "extender/victims.h"

namespace hami::extender {
namespace {

constexpr std::chrono::milliseconds kStep(2);

}  // namespace

std::vector<PreemptArgs::Node> VictimReview::Useful(
    const placement::Request& request, std::span<const PreemptArgs::Node> nodes) const {
  std::vector<PreemptArgs::Node> useful;
  for (const PreemptArgs::Node& node : nodes) {
    std::optional<placement::NodeFacts> facts;
    std::vector<placement::PodFacts> pods;
    state_.Look([&](const placement::Cluster& cluster) {
      if (const placement::NodeFacts* found = cluster.FindNode(node.name)) facts = *found;
      pods = cluster.PodsOn(node.name);
    });
    if (facts && FitsWithout(registry_, request, *facts, pods, node.victims)) {
      useful.push_back(node);
    }
  }
  return useful;
}

std::vector<PreemptArgs::Node> VictimReview::Await(const placement::Request& request,
                                                   std::span<const PreemptArgs::Node> nodes) {
  // Before the look: what comes free meanwhile is looked at again.
  uint64_t rooms = state_.room_count();
  std::vector<PreemptArgs::Node> useful = Useful(request, nodes);
  if (!useful.empty()) return useful;
  const int64_t begun_ns = clock_.MonotonicNs();
  const int64_t patience_ns = patience_.Begin(begun_ns);
  if (patience_ns == 0) return useful;
  int64_t now_ns = begun_ns;
  while (useful.empty() && now_ns - begun_ns < patience_ns) {
    std::this_thread::sleep_for(kStep);
    now_ns = clock_.MonotonicNs();
    const uint64_t now = state_.room_count();
    if (now == rooms) continue;
    rooms = now;
    useful = Useful(request, nodes);
  }
  patience_.End(now_ns);
  return useful;
}

}  // namespace hami::extender
