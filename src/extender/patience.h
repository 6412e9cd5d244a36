// SPDX-License-Identifier: Apache-2.0
//
// How long an answer may be held back: up to `most_ns` in a row, and a tenth of the time in the
// long run. One caller at a time; whoever comes meanwhile has none. Any thread. Times are
// monotonic.

#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace hami::extender {

class Patience {
 public:
  explicit Patience(int64_t most_ns) : most_ns_(most_ns), left_ns_(most_ns) {}

  // How long may be waited from now on. Not 0: End must follow.
  int64_t Begin(int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    if (waits_) return 0;
    left_ns_ = std::min(most_ns_, left_ns_ + (now_ns - last_ns_) / kOneOf);
    last_ns_ = now_ns;
    waits_ = left_ns_ > 0;
    return std::max<int64_t>(left_ns_, 0);
  }

  // What was not waited is there for the next.
  void End(int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    left_ns_ -= now_ns - last_ns_;
    last_ns_ = now_ns;
    waits_ = false;
  }

 private:
  static constexpr int64_t kOneOf = 10;

  const int64_t most_ns_;
  std::mutex mutex_;
  int64_t left_ns_;
  int64_t last_ns_ = 0;
  bool waits_ = false;
};

}  // namespace hami::extender
