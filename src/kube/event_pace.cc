// SPDX-License-Identifier: Apache-2.0

#include "kube/event_pace.h"

#include <algorithm>
#include <cmath>

namespace hami::kube {

void EventPace::Refill(int64_t now_ms) {
  const int64_t idle_from_ms = said_ms_ + kIdleAfterMs;
  const int64_t busy_ms = std::clamp<int64_t>(std::min(now_ms, idle_from_ms) - refilled_ms_, 0,
                                              std::max<int64_t>(now_ms - refilled_ms_, 0));
  const int64_t idle_ms = std::max<int64_t>(now_ms - refilled_ms_ - busy_ms, 0);
  credit_ += static_cast<double>(busy_ms) / kBusyEveryMs;
  credit_ += static_cast<double>(idle_ms) / kIdleEveryMs;
  credit_ = std::min<double>(credit_, kBurst);
  refilled_ms_ = std::max(refilled_ms_, now_ms);
}

void EventPace::NoteSaid(int64_t now_ms) {
  Refill(now_ms);
  said_ms_ = now_ms;
}

int64_t EventPace::WaitMs(int64_t now_ms) {
  Refill(now_ms);
  if (credit_ >= 1) return 0;
  const bool is_idle = now_ms >= said_ms_ + kIdleAfterMs;
  const double missing = (1 - credit_) * static_cast<double>(is_idle ? kIdleEveryMs : kBusyEveryMs);
  return std::max<int64_t>(static_cast<int64_t>(std::ceil(missing)), 1);
}

void EventPace::NoteSent(int64_t now_ms) {
  Refill(now_ms);
  credit_ = std::max(credit_ - 1, 0.0);
}

}  // namespace hami::kube
