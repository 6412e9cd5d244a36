// SPDX-License-Identifier: Apache-2.0

#include "ctl/end_tree.h"

namespace hami::ctl {

TreeEnding::Action TreeEnding::Step(int64_t now_ns) {
  const bool grace_is_over = hurried_ || now_ns >= began_ns_ + kGraceNs;
  if (!grace_is_over) {
    if (terminated_) return Action::kNothing;
    terminated_ = true;
    next_ns_ = began_ns_ + kGraceNs;
    return Action::kTerminate;
  }
  if (first_kill_ns_ != 0 && now_ns < next_ns_) return Action::kNothing;
  if (first_kill_ns_ == 0) first_kill_ns_ = now_ns;
  // A process that does not die within a second will not die for being asked fifty times a second.
  const bool patient = now_ns - first_kill_ns_ > 1'000'000'000;
  next_ns_ = now_ns + (patient ? kGraceNs / 10 : kKillAgainNs);
  return Action::kKill;
}

bool TreeEnding::IsStuck(int64_t now_ns) const {
  return first_kill_ns_ != 0 && now_ns - first_kill_ns_ > kStuckNs;
}

}  // namespace hami::ctl
