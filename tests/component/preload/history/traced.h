// SPDX-License-Identifier: Apache-2.0
//
// Another program under ptrace, taken through the instructions between two SIGUSR1 that it raises.

#pragma once

#include <sched.h>
#include <sys/types.h>

namespace hami::component {

class Traced {
 public:
  // Of a child of this process. It is not stopped.
  explicit Traced(pid_t pid);
  ~Traced();
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;

  // Waits for the first mark.
  void AwaitMark() const;
  // One instruction. True: that was the second mark, and the program runs free from here on.
  bool Step() const;
  // Up to `count` of them; how many it took if the second mark came, -1 if it did not.
  long Steps(long count) const;

 private:
  pid_t pid_;
  cpu_set_t before_;  // both on one processor: a step is then three times as fast
};

}  // namespace hami::component
