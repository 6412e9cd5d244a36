// SPDX-License-Identifier: Apache-2.0
//
// Ends everything below the caller, which must be a subreaper: SIGTERM, a time of grace, SIGKILL
// until nothing is left. As a state machine without clock or signals of its own, so that supervisor
// and agent can go on with their other work: ask NextStep, wait, report.
//
// A process that refuses our signals (it changed its user) or does not die (it hangs in a driver)
// is waited for, not forgotten: it may hold the slice.

#pragma once

#include <cstdint>

namespace hami::ctl {

inline constexpr int64_t kGraceNs = 5'000'000'000;
inline constexpr int64_t kStuckNs = 5'000'000'000;  // after the first SIGKILL
inline constexpr int64_t kKillAgainNs = 20'000'000;

class TreeEnding {
 public:
  enum class Action : uint8_t { kNothing, kTerminate, kKill };

  explicit TreeEnding(int64_t now_ns) : began_ns_(now_ns) {}

  // What to do now. kKill comes again and again, because a tree that forks while it is killed has
  // new processes.
  Action Step(int64_t now_ns);

  // When to ask again if nothing ends before.
  int64_t next_ns() const { return next_ns_; }

  // The user asked twice: no more grace.
  void Hurry() { hurried_ = true; }

  // SIGKILL has not helped for kStuckNs.
  bool IsStuck(int64_t now_ns) const;

 private:
  int64_t began_ns_;
  int64_t next_ns_ = 0;
  int64_t first_kill_ns_ = 0;
  bool terminated_ = false;
  bool hurried_ = false;
};

}  // namespace hami::ctl
