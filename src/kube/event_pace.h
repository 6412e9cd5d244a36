// SPDX-License-Identifier: Apache-2.0
//
// When Events that say that all is well may be written: a few at once, then slowly while more is
// being said, and faster when nothing is. A scheduler that places many pods must not spend the API
// server's time on telling of it; what went wrong is never held back. Pure; monotonic times; one
// thread.

#pragma once

#include <cstdint>

namespace hami::kube {

class EventPace {
 public:
  static constexpr int kBurst = 20;
  static constexpr int64_t kBusyEveryMs = 100;
  static constexpr int64_t kIdleEveryMs = 10;
  static constexpr int64_t kIdleAfterMs = 1'000;  // since something was said

  void NoteSaid(int64_t now_ms);
  // Until the next one may be written; 0: now.
  int64_t WaitMs(int64_t now_ms);
  void NoteSent(int64_t now_ms);

 private:
  void Refill(int64_t now_ms);

  double credit_ = kBurst;
  int64_t refilled_ms_ = 0;
  int64_t said_ms_ = 0;
};

}  // namespace hami::kube
