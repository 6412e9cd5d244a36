// SPDX-License-Identifier: Apache-2.0

#include "tests/component/region/stepping.h"

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace hami::component {
namespace {

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::abort();
}

// Both on one processor: a step is then three times as fast, because no other has to be woken.
class OnOneProcessor {
 public:
  OnOneProcessor() {
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
  }
  ~OnOneProcessor() { sched_setaffinity(0, sizeof(before_), &before_); }
  OnOneProcessor(const OnOneProcessor&) = delete;
  OnOneProcessor& operator=(const OnOneProcessor&) = delete;

 private:
  cpu_set_t before_;
};

pid_t StartTraced(const Victim& victim) {
  const pid_t pid = fork();
  if (pid < 0) Fail("fork");
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(126);
    victim.set_up();
    raise(SIGSTOP);
    victim.body();
    _exit(0);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) Fail("the child does not stop");
  return pid;
}

// True if the child ended by itself within `steps` instructions.
bool Step(pid_t pid, long steps) {
  for (long step = 0; step < steps; ++step) {
    if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) Fail("PTRACE_SINGLESTEP");
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (!WIFSTOPPED(status)) {
      std::fprintf(stderr, "the victim failed, status %d\n", status);
      std::abort();
    }
  }
  kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  return false;
}

}  // namespace

long KillAtEveryInstruction(const Victim& victim, const std::function<void(long)>& check,
                            long stride) {
  const OnOneProcessor pinned;
  long deaths = 0;
  for (long steps = 0;; steps += stride) {
    const bool ended = Step(StartTraced(victim), steps);
    check(steps);
    if (ended) return deaths;
    ++deaths;
  }
}

}  // namespace hami::component
