// SPDX-License-Identifier: Apache-2.0

#include "kube/retry.h"

#include <algorithm>

namespace hami::kube {
namespace {

bool IsWorthwhile(const Outcome& outcome, bool repeatable) {
  switch (outcome.http_status) {
    case 0:
      return (outcome.code == Code::kUnavailable || outcome.code == Code::kDeadlineExceeded) &&
             (repeatable || !outcome.maybe_executed);
    case 429:
      return true;
    case 500:
      return repeatable && outcome.retry_after_ms.has_value();
    case 502:
    case 503:
    case 504:
      return repeatable;
    default:
      return false;
  }
}

}  // namespace

std::optional<int64_t> RetryDelayMs(const Outcome& outcome, bool repeatable, int attempts,
                                    int64_t left_ms, int64_t backoff_ms) {
  if (attempts >= kMaxAttempts || !IsWorthwhile(outcome, repeatable)) return std::nullopt;
  const int64_t delay_ms = std::max(outcome.retry_after_ms.value_or(0), backoff_ms);
  if (delay_ms >= left_ms) return std::nullopt;
  return delay_ms;
}

}  // namespace hami::kube
