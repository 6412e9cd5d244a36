// SPDX-License-Identifier: Apache-2.0

#include "share/bounded_child.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>

namespace hami::share {
namespace {

constexpr std::chrono::milliseconds kNap{1};
// SIGKILL ends a process at once, unless it waits in the kernel for somebody's answer.
constexpr std::chrono::milliseconds kKillPatience{1000};

// nullopt: it runs.
Result<std::optional<int>> Poll(pid_t child) {
  int status = 0;
  const pid_t ended = waitpid(child, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return std::nullopt;
  if (ended < 0) return FailErrno("wait for a child");
  return status;
}

Result<std::optional<int>> Await(pid_t child, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<int> status, Poll(child));
    if (status || std::chrono::steady_clock::now() > end) return status;
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace

bool ChildRunner::IsOneLeftBehind() {
  const std::lock_guard lock(mutex_);
  if (left_behind_ == 0) return false;
  const Result<std::optional<int>> status = Poll(left_behind_);
  if (status && !*status) return true;
  left_behind_ = 0;
  return false;
}

Error ChildRunner::GiveUp(pid_t child) {
  kill(child, SIGKILL);
  const Result<std::optional<int>> status = Await(child, kKillPatience);
  if (status && !*status) {
    const std::lock_guard lock(mutex_);
    left_behind_ = child;
  }
  return Error{Code::kDeadlineExceeded, "it took too long"};
}

Result<int> ChildRunner::Run(const std::function<int()>& work, std::chrono::milliseconds patience) {
  if (IsOneLeftBehind()) return Fail(Code::kUnavailable, "an earlier one has not come back");
  const pid_t child = fork();
  if (child < 0) return FailErrno("fork");
  if (child == 0) _exit(work());
  ASSIGN_OR_RETURN(const std::optional<int> status, Await(child, patience));
  if (!status) return Fail(GiveUp(child));
  if (!WIFEXITED(*status)) return Fail(Code::kDataLoss, "it was ended by a signal");
  return WEXITSTATUS(*status);
}

}  // namespace hami::share
