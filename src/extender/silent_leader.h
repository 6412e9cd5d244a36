// SPDX-License-Identifier: Apache-2.0
//
// Whether the holder of the kube-scheduler's Lease is dead, so that the Lease may be released for
// it before it runs out (docs/adr/0021). Judged only from looks: reads of the Lease that the API
// server answered from its store. Time counts between two looks that were both answered, soon after
// each other, and both show the Lease as it was: while the API server does not answer, nobody can
// renew a Lease, and nobody is dead. Everything is in parts of the Lease's own duration.
//
// Pure; times are monotonic. One thread.

#pragma once

#include <cstdint>
#include <optional>

#include "kube/lease.h"

namespace hami::extender {

class SilentLeader {
 public:
  // Of a Lease of `duration_ms`: how long the watch may say nothing before we look at all, how far
  // looks are apart, how long an answer may take.
  static constexpr int64_t QuietMs(int64_t duration_ms) { return duration_ms / 6; }
  static constexpr int64_t LookEveryMs(int64_t duration_ms) { return duration_ms / 15; }
  static constexpr int64_t AnswerMs(int64_t duration_ms) { return duration_ms / 7; }
  // The time that has to be counted, and the longest between two answers that counts.
  static constexpr int64_t DeadMs(int64_t duration_ms) { return duration_ms / 3; }
  static constexpr int64_t LongestStepMs(int64_t duration_ms) { return duration_ms / 5; }

  // A look was answered.
  void NoteLook(const kube::Lease& lease, int64_t now_ns);
  // A look got no answer.
  void NoteNoAnswer() { answered_ns_.reset(); }
  // The Lease was renewed, or nobody looks any more.
  void Forget() { seen_.reset(); }

  // What to release: nothing unless its holder is dead.
  std::optional<kube::Lease> Dead() const;
  int64_t counted_ms() const;

 private:
  std::optional<kube::Lease> seen_;
  std::optional<int64_t> answered_ns_;  // the last look, if it got an answer
  int64_t counted_ns_ = 0;
};

// As client-go's ReleaseOnCancel writes it: held by nobody, for a second.
kube::Lease ReleasedLease(kube::Lease lease, int64_t wall_ns);

}  // namespace hami::extender
