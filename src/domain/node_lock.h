// SPDX-License-Identifier: Apache-2.0
//
// kNodeLock: the lock on a node that HAMi's scheduler takes before it binds a pod and the node's
// plugin gives back (contract hami-control-plane.md 1.9). Only the text; who writes it does so with
// the node's resourceVersion. Pure.
//
//   "2026-08-21T10:00:00Z,default,train-0"   or, from old versions, the time alone

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::domain {

// HAMi's default; the Cambricon lock (the time alone, under a key of its own) has its own.
inline constexpr int64_t kNodeLockTimeoutS = 300;
inline constexpr int64_t kDsmluLockTimeoutS = 120;

struct NodeLock {
  int64_t taken_s = 0;  // unix seconds
  std::string namespace_name;
  std::string pod_name;

  // The time alone: nobody knows whose it is.
  bool IsLegacy() const { return pod_name.empty(); }
  bool IsHeldBy(std::string_view pod_namespace, std::string_view pod) const;
  // Held longer than `timeout_s`: whoever holds it has failed.
  bool IsExpired(int64_t now_s, int64_t timeout_s) const;

  bool operator==(const NodeLock&) const = default;
};

// kInvalidArgument in HAMi's words: another count of parts, a time that is none. What reads so
// counts as taken for ever; a person has to look.
Result<NodeLock> ParseNodeLock(std::string_view text);

// The time alone if the lock is legacy.
std::string FormatNodeLock(const NodeLock& lock);

// Whether the pod may give back what stands there: its own, or a legacy lock.
bool MayRelease(std::string_view text, std::string_view pod_namespace, std::string_view pod);

}  // namespace hami::domain
