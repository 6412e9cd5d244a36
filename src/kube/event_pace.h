// SPDX-License-Identifier: Apache-2.0
//
// When Events that say that all is well may be written: a few at once, then hardly any while much
// is being said, and the rest when it is quiet again. A scheduler that places many pods must not
// spend the API server's time on telling of it; what went wrong is never held back. Where it is
// never quiet, they come steadily after a while. Pure; monotonic times; one thread.

#pragma once

#include <cstdint>

namespace hami::kube {

class EventPace {
 public:
  static constexpr int kBurst = 20;
  static constexpr int64_t kHeldBackMs = 10'000;  // since much began to be said
  static constexpr int64_t kHeldBackEveryMs = 1'000;
  static constexpr int64_t kBusyEveryMs = 100;    // after that
  static constexpr int64_t kIdleAfterMs = 1'000;  // since something was said
  static constexpr int64_t kIdleEveryMs = 10;

  void NoteSaid(int64_t now_ms);
  // Until the next one may be written; 0: now.
  int64_t WaitMs(int64_t now_ms);
  void NoteSent(int64_t now_ms);

 private:
  // From `ms` until `end_ms` one may be written each `every_ms`, if nothing more is said.
  struct Stretch {
    int64_t end_ms;
    int64_t every_ms;
  };
  Stretch StretchAt(int64_t ms) const;
  void Refill(int64_t now_ms);

  double credit_ = kBurst;
  int64_t refilled_ms_ = 0;
  int64_t begun_ms_ = 0;  // of what is being said without a pause
  int64_t said_ms_ = 0;
};

}  // namespace hami::kube
