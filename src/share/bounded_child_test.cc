// SPDX-License-Identifier: Apache-2.0

#include "share/bounded_child.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace hami::share {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLong{60};

// Traces the process whose PID it reads, and does not let it end before it ends itself.
[[noreturn]] void HoldAtExit(int told) {
  pid_t victim = 0;
  if (read(told, &victim, sizeof(victim)) != sizeof(victim) ||
      ptrace(PTRACE_SEIZE, victim, nullptr, PTRACE_O_TRACEEXIT) != 0) {
    _exit(1);
  }
  for (;;) pause();
}

TEST(BoundedChildTest, SaysWhatTheWorkSaid) {
  ChildRunner runner;
  for (const int code : {0, 1, 127}) {
    const Result<int> result = runner.Run([code] { return code; }, kLong);
    ASSERT_TRUE(result);
    EXPECT_EQ(*result, code);
  }
}

// As a mapping does that was cut.
TEST(BoundedChildTest, ASignalEndsTheChildAlone) {
  ChildRunner runner;
  const Result<int> result = runner.Run([] { return raise(SIGKILL); }, kLong);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDataLoss);
}

// As a read does that nobody answers.
TEST(BoundedChildTest, WorkThatNeverEndsIsGivenUp) {
  ChildRunner runner;
  const auto hang = [] {
    for (;;) pause();
    return 0;
  };
  const Result<int> result = runner.Run(hang, milliseconds(20));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD) << "it is not left behind: SIGKILL has ended it";
  EXPECT_TRUE(runner.Run([] { return 0; }, kLong));
}

// A process that is traced waits in the kernel when it is to end (PTRACE_O_TRACEEXIT), as one does
// whose file system does not answer.
TEST(BoundedChildTest, OneThatIsLeftBehindIsTheOnlyOne) {
  ChildRunner runner;
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t holder = fork();
  if (holder == 0) HoldAtExit(told[0]);
  const Result<int> result = runner.Run(
      [&] {
        const pid_t self = getpid();
        (void)!write(told[1], &self, sizeof(self));
        for (;;) pause();
        return 0;
      },
      milliseconds(500));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDeadlineExceeded);
  if (waitpid(holder, nullptr, WNOHANG) == holder) GTEST_SKIP() << "may not trace a process here";
  const Result<int> next = runner.Run([] { return 0; }, kLong);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Code::kUnavailable);
  EXPECT_TRUE(ChildRunner().Run([] { return 0; }, kLong)) << "another's business goes on";
  kill(holder, SIGKILL);
  ASSERT_EQ(waitpid(holder, nullptr, 0), holder);
  Result<int> later = next;
  while (!later) later = runner.Run([] { return 0; }, kLong);
  EXPECT_EQ(*later, 0);
}

}  // namespace
}  // namespace hami::share
