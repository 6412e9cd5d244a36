// SPDX-License-Identifier: Apache-2.0
//
// Whether a request is tried again, and when. Pure.
//
//   429                       yes: the server says that it did nothing
//   502, 503, 504             if a second execution does no harm
//   500                       the same, and only if the server asks for it by Retry-After
//   connection broke, silent  the same; always if the request was never sent
//   anything else             no
//
// The server's own Retry-After is waited at least. Tries and time are bounded.

#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace hami::kube {

struct Outcome {
  int http_status = 0;  // 0: there was no answer
  Code code = Code::kUnknown;
  bool maybe_executed = true;
  std::optional<int64_t> retry_after_ms;
};

inline constexpr int kMaxAttempts = 6;

// `attempts` made so far, `left_ms` until the deadline, `backoff_ms` what one would wait unasked.
// None: give up.
std::optional<int64_t> RetryDelayMs(const Outcome& outcome, bool repeatable, int attempts,
                                    int64_t left_ms, int64_t backoff_ms);

}  // namespace hami::kube
