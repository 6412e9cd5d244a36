// SPDX-License-Identifier: Apache-2.0

#include "net/backoff.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

#include "base/check.h"

namespace hami::net {

Random SystemRandom() {
  struct State {
    std::mutex mutex;
    std::mt19937_64 engine{std::random_device{}() ^ (uint64_t{std::random_device{}()} << 32)};
  };
  return [state = std::make_shared<State>()] {  // shared by the copies of the function
    const std::lock_guard lock(state->mutex);
    return state->engine();
  };
}

int64_t RandomBetween(const Random& random, int64_t low, int64_t high) {
  CHECK(low <= high);
  const uint64_t count = static_cast<uint64_t>(high - low) + 1;
  return low + static_cast<int64_t>(count == 0 ? random() : random() % count);
}

Backoff::Backoff(const BackoffOptions& options, Random random)
    : options_(options), random_(std::move(random)) {
  CHECK(options_.first_ms > 0 && options_.first_ms <= options_.max_ms);
}

int64_t Backoff::NextMs(int64_t now_ns) {
  if (now_ns - last_ns_ > options_.calm_ms * 1'000'000) step_ms_ = 0;
  last_ns_ = now_ns;
  step_ms_ = step_ms_ == 0 ? options_.first_ms : std::min(step_ms_ * 2, options_.max_ms);
  return RandomBetween(random_, step_ms_ / 2, step_ms_);
}

}  // namespace hami::net
