// SPDX-License-Identifier: Apache-2.0

#include "extender/victim_review.h"

#include <chrono>
#include <optional>
#include <thread>

#include "extender/victims.h"

namespace hami::extender {
namespace {

constexpr int64_t kOnceIn = 10;  // of the time: a tenth of it is waited at most
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
  const int64_t begun_ns = clock_.MonotonicNs();
  if (!useful.empty() || !MayWait(begun_ns)) return useful;
  while (useful.empty() && clock_.MonotonicNs() - begun_ns < patience_ms_ * 1'000'000) {
    std::this_thread::sleep_for(kStep);
    const uint64_t now = state_.room_count();
    if (now == rooms) continue;
    rooms = now;
    useful = Useful(request, nodes);
  }
  return useful;
}

// One caller at a time, and then nobody for a while.
bool VictimReview::MayWait(int64_t now_ns) {
  int64_t impatient_until_ns = impatient_until_ns_.load();
  return now_ns >= impatient_until_ns &&
         impatient_until_ns_.compare_exchange_strong(impatient_until_ns,
                                                     now_ns + kOnceIn * patience_ms_ * 1'000'000);
}

}  // namespace hami::extender
