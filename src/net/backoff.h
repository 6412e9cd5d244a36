// SPDX-License-Identifier: Apache-2.0
//
// How long to wait before trying again: doubling from `first_ms` to `max_ms`, each time somewhere
// between half of that and all of it, so that many clients of one server do not come back together.
// Time and chance come from outside; one thread.

#pragma once

#include <cstdint>
#include <functional>

namespace hami::net {

// Uniform over all 64 bits.
using Random = std::function<uint64_t()>;

// Seeded from the system; may be called from any thread.
Random SystemRandom();

// Uniform in [low, high].
int64_t RandomBetween(const Random& random, int64_t low, int64_t high);

struct BackoffOptions {
  int64_t first_ms = 200;
  int64_t max_ms = 30'000;
  // Trouble that comes after so long without any starts at `first_ms` again.
  int64_t calm_ms = 120'000;
};

class Backoff {
 public:
  Backoff(const BackoffOptions& options, Random random);

  // For the failure at `now_ns` (monotonic).
  int64_t NextMs(int64_t now_ns);

  void Reset() { step_ms_ = 0; }

 private:
  const BackoffOptions options_;
  const Random random_;
  int64_t step_ms_ = 0;  // the last one, without chance; 0: none
  int64_t last_ns_ = 0;
};

}  // namespace hami::net
