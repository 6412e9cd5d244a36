// SPDX-License-Identifier: Apache-2.0

#include "kube/event_pace.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hami::kube {

EventPace::Stretch EventPace::StretchAt(int64_t ms) const {
  const int64_t idle_from_ms = said_ms_ + kIdleAfterMs;
  const int64_t held_until_ms = std::min(begun_ms_ + kHeldBackMs, idle_from_ms);
  if (ms < held_until_ms) return {.end_ms = held_until_ms, .every_ms = kHeldBackEveryMs};
  if (ms < idle_from_ms) return {.end_ms = idle_from_ms, .every_ms = kBusyEveryMs};
  return {.end_ms = std::numeric_limits<int64_t>::max(), .every_ms = kIdleEveryMs};
}

void EventPace::Refill(int64_t now_ms) {
  while (refilled_ms_ < now_ms) {
    const Stretch stretch = StretchAt(refilled_ms_);
    const int64_t end_ms = std::min(stretch.end_ms, now_ms);
    credit_ += static_cast<double>(end_ms - refilled_ms_) / static_cast<double>(stretch.every_ms);
    refilled_ms_ = end_ms;
  }
  credit_ = std::min<double>(credit_, kBurst);
}

void EventPace::NoteSaid(int64_t now_ms) {
  Refill(now_ms);
  if (now_ms >= said_ms_ + kIdleAfterMs) begun_ms_ = now_ms;
  said_ms_ = now_ms;
}

int64_t EventPace::WaitMs(int64_t now_ms) {
  Refill(now_ms);
  double missing = 1 - credit_;
  if (missing <= 0) return 0;
  for (int64_t ms = now_ms;;) {
    const Stretch stretch = StretchAt(ms);
    const auto every_ms = static_cast<double>(stretch.every_ms);
    const auto wait_ms = static_cast<int64_t>(std::ceil(missing * every_ms));
    if (wait_ms <= stretch.end_ms - ms) return std::max<int64_t>(ms + wait_ms - now_ms, 1);
    missing -= static_cast<double>(stretch.end_ms - ms) / every_ms;
    ms = stretch.end_ms;
  }
}

void EventPace::NoteSent(int64_t now_ms) {
  Refill(now_ms);
  credit_ = std::max(credit_ - 1, 0.0);
}

}  // namespace hami::kube
