// SPDX-License-Identifier: Apache-2.0
//
// One process of a share in a history: a script, what it holds, and the children that it forked.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/component/harness.h"
#include "tests/component/preload/history/holdings.h"

namespace hami::component {

// "T", "S", "Z" ... from /proc; "" if there is no such process.
std::string StateOf(pid_t pid);
// Sends SIGSTOP and waits until it has come to pass.
void StopAndWait(pid_t pid);
// Stops a process that is not our child for good. With ptrace, because SIGSTOP does not hold: when
// the shell that started this test ends, the kernel continues what is stopped in its group.
void Hold(pid_t pid);
// SIGKILL for a process that is not our child; returns once nothing of it is left.
void KillAndWait(pid_t pid);

// What the charge of processes may be above what the driver has given them.
struct Excess {
  uint64_t least = 0;
  uint64_t most = 0;
  // A parent has died inside a call and its child lives: its charge is as the call had it just
  // then, taken or not given back yet, in its slot and perhaps not in the total or the other way
  // round. A slot whose lock is held is its owner's alone: nobody puts that right before the child
  // has ended.
  bool torn = false;

  void Add(const Excess& other) {
    least += other.least;
    most += other.most;
    torn = torn || other.torn;
  }
};

class Member {
 public:
  Member(Running script, std::string name) : script_(std::move(script)), name_(std::move(name)) {}
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  const std::string& name() const { return name_; }
  pid_t pid() const { return script_.pid(); }
  Holdings& holdings() { return holdings_; }

  // A call in two halves, so that others may call meanwhile. Finish returns the answer; "" means
  // that the script is gone.
  void Begin(const Call& call);
  std::string Finish();
  std::string Do(const Call& call);
  // Plain lines without a meaning for what is held.
  std::string Ask(const std::string& line);
  bool is_calling() const { return in_flight_.has_value(); }

  // A child that lives on and never calls the driver. It is held, because it would read its
  // parent's input. False: the script is gone.
  bool Fork();
  size_t child_count() const { return children_.size(); }

  void Kill();  // not its children
  bool is_dead() const { return dead_; }
  void KillChildren();

  // Nobody is left that keeps the memory.
  bool IsGone() const { return dead_ && children_.empty(); }
  Excess AllowedExcess() const;

 private:
  std::string ReadAnswer();  // "" also if none comes for long

  Running script_;
  std::string name_;
  Holdings holdings_;
  std::optional<Call> in_flight_;
  bool dead_ = false;
  bool died_calling_ = false;
  std::vector<pid_t> children_;
};

}  // namespace hami::component
