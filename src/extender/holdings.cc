// SPDX-License-Identifier: Apache-2.0

#include "extender/holdings.h"

#include <utility>

namespace hami::extender {

void Holdings::Uncount(const placement::PodFacts& before) {
  if (before.slices.empty()) return;
  const auto found = priorities_.find(before.priority);
  if (--found->second == 0) priorities_.erase(found);
}

std::optional<std::string> Holdings::Put(const std::string& uid, placement::PodFacts facts) {
  std::optional<std::string> room;
  if (std::optional<placement::PodFacts> before = cluster_.FindPod(uid)) {
    Uncount(*before);
    if (before->node != facts.node || before->slices.size() > facts.slices.size() ||
        (facts.init_done && !before->init_done)) {
      room = std::move(before->node);
    }
  }
  if (!facts.slices.empty()) ++priorities_[facts.priority];
  facts.uid = uid;
  cluster_.PutPod(facts);
  return room;
}

std::optional<std::string> Holdings::Remove(const std::string& uid) {
  std::optional<placement::PodFacts> before = cluster_.FindPod(uid);
  if (!before) return std::nullopt;
  Uncount(*before);
  cluster_.RemovePod(uid);
  return std::move(before->node);
}

bool Holdings::HasBelow(int32_t priority) const {
  return !priorities_.empty() && priorities_.begin()->first < priority;
}

}  // namespace hami::extender
