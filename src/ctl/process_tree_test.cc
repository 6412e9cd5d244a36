// SPDX-License-Identifier: Apache-2.0

#include "ctl/process_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

namespace hami::ctl {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

TEST(ProcessTreeTest, BelowFindsAllGenerationsAndNotTheRoot) {
  const std::vector<ProcessLink> links = {{2, 1}, {3, 2}, {4, 3}, {5, 1}, {6, 5}};
  EXPECT_THAT(Below(2, links), UnorderedElementsAre(3, 4));
  EXPECT_THAT(Below(1, links), UnorderedElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(Below(6, links), IsEmpty());
  EXPECT_THAT(Below(99, links), IsEmpty());
}

TEST(ProcessTreeTest, ALoopOfStaleReadsEnds) {
  EXPECT_LE(Below(1, {{2, 1}, {3, 2}, {2, 3}}).size(), 4U);
}

// A child with an odd name and a child of its own; both end when the pipe is closed.
class Family {
 public:
  Family() {
    int until[2];
    int report[2];
    if (pipe(until) != 0 || pipe(report) != 0) return;
    child_ = fork();
    if (child_ == 0) {
      close(until[1]);
      prctl(PR_SET_NAME, ") S 1 (");
      const pid_t grandchild = fork();
      if (grandchild != 0) (void)!write(report[1], &grandchild, sizeof(grandchild));
      char byte = 0;
      (void)!read(until[0], &byte, 1);
      _exit(0);
    }
    close(until[0]);
    until_.Reset(until[1]);
    (void)!read(report[0], &grandchild_, sizeof(grandchild_));
    close(report[0]);
    close(report[1]);
  }
  ~Family() {
    until_.Reset();
    waitpid(child_, nullptr, 0);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  pid_t child() const { return child_; }
  pid_t grandchild() const { return grandchild_; }

 private:
  pid_t child_ = 0;
  pid_t grandchild_ = 0;
  base::Fd until_;
};

TEST(ProcessTreeTest, RealProcessesAreFoundWhateverTheirName) {
  const Family family;
  const std::vector<pid_t> below = Below(getpid(), ListProcessLinks());
  EXPECT_THAT(below, Contains(family.child()));
  EXPECT_THAT(below, Contains(family.grandchild()));
  EXPECT_THAT(below, Not(Contains(getpid())));
  EXPECT_TRUE(IsBelow(getpid(), family.grandchild()));
  EXPECT_TRUE(IsBelow(family.child(), family.grandchild()));
  EXPECT_FALSE(IsBelow(family.child(), getpid()));
  EXPECT_FALSE(IsBelow(family.child(), family.child()));
}

TEST(ProcessTreeTest, SignalsReachTheWholeTreeAndReapingEnds) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (int i = 0; i < 3; ++i) {
    if (fork() == 0) {
      if (fork() == 0) setsid();
      for (;;) pause();
    }
  }
  int reached = 0;
  int refused = 0;
  // Grandchildren may not be there yet at the first look.
  while (ReapEnded()) {
    reached += SignalTree(SIGKILL, &refused);
    EXPECT_EQ(refused, 0);
    usleep(1000);
  }
  EXPECT_GE(reached, 3);
  EXPECT_THAT(Below(getpid(), ListProcessLinks()), IsEmpty());
}

TEST(ProcessTreeTest, ACommandIsShownInOneLine) {
  EXPECT_NE(CommandOf(getpid(), 4096), "");
  EXPECT_EQ(CommandOf(getpid(), 3).size(), 3U);
  EXPECT_EQ(CommandOf(0, 60), "");
}

}  // namespace
}  // namespace hami::ctl
