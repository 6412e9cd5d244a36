// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/traced.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

namespace hami::component {
namespace {

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::abort();
}

int WaitForStop(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) Fail("the traced program has ended");
  return WSTOPSIG(status);
}

}  // namespace

Traced::Traced(pid_t pid) : pid_(pid) {
  sched_getaffinity(0, sizeof(before_), &before_);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof(one), &one);
  sched_setaffinity(pid, sizeof(one), &one);
  if (ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) Fail("PTRACE_SEIZE");
}

Traced::~Traced() { sched_setaffinity(0, sizeof(before_), &before_); }

void Traced::AwaitMark() const {
  while (WaitForStop(pid_) != SIGUSR1) {
    if (ptrace(PTRACE_CONT, pid_, nullptr, nullptr) != 0) Fail("PTRACE_CONT");
  }
}

bool Traced::Step() const {
  if (ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) Fail("PTRACE_SINGLESTEP");
  if (WaitForStop(pid_) != SIGUSR1) return false;
  if (ptrace(PTRACE_DETACH, pid_, nullptr, nullptr) != 0) Fail("PTRACE_DETACH");
  return true;
}

long Traced::Steps(long count) const {
  for (long step = 0; step < count; ++step) {
    if (Step()) return step;
  }
  return -1;
}

}  // namespace hami::component
