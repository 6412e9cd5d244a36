// SPDX-License-Identifier: Apache-2.0
//
// However processes come and go, what the driver gives a share's processes together is what is
// charged, and no more than the limit.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr uint64_t kGiB = 1024 * kMiB;
constexpr int kCannot = 77;

std::string Gib(uint64_t count) { return std::to_string(count * kGiB); }

class Processes : public testing::Test {
 protected:
  Processes() { signal(SIGPIPE, SIG_IGN); }

  Running Start(const std::vector<std::string>& words) const {
    return tenant_.share.Start({TestProgram("acts"), words, {}});
  }
  static void Expect(Running& running, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) ASSERT_EQ(running.ReadLine(), line + "\n");
  }
  void ExpectBoth(uint64_t bytes) const {
    EXPECT_EQ(tenant_.Truth(), bytes);
    EXPECT_EQ(tenant_.Charged(), bytes);
  }
  // A process without anything finds this much room and not a page more.
  void ExpectRoom(uint64_t bytes) const {
    Running other = Start(
        {"hold", std::to_string(bytes - kContextBytes + 1), std::to_string(bytes - kContextBytes)});
    Expect(other, {"begin 0", "alloc 2", "alloc 0", "ready"});
    ExpectBoth(tenant_.limit_bytes);
  }

  const std::string acts_ = TestProgram("acts");
  Tenant tenant_;  // 4 GiB
};

TEST_F(Processes, AVforkChildCostsAndFreesNothing) {
  Running running = Start({"vfork", Gib(1)});
  Expect(running, {"begin 0", "alloc 0", "child 0", "ready"});
  ExpectBoth(kContextBytes + kGiB);
  ExpectRoom(3 * kGiB - kContextBytes);
}

TEST_F(Processes, ASpawnedProgramIsBoundedWithItsParent) {
  // Its input is the parent's and ends when the test says so: it needs to be told.
  Running running = Start({"spawn", Gib(1), acts_, "hold", Gib(3), Gib(2)});
  Expect(running, {"begin 0", "alloc 0", "begin 0", "alloc 2", "alloc 0", "ready"});
  ExpectBoth(2 * kContextBytes + 3 * kGiB);
  EXPECT_EQ(running.Wait(), 0);
  ExpectBoth(0);
}

TEST_F(Processes, ExecGivesEverythingBack) {
  Running running = Start({"exec", Gib(3), acts_, "hold", Gib(3), Gib(1)});
  Expect(running, {"begin 0", "alloc 0", "begin 0", "alloc 0", "alloc 2", "ready"});
  ExpectBoth(kContextBytes + 3 * kGiB);
}

TEST_F(Processes, AProcessThatSharesTheMemorySharesTheCharge) {
  Running running = Start({"clone", Gib(2)});
  Expect(running, {"begin 0", "child 0", "alloc 0", "ready"});
  ExpectBoth(kContextBytes + 2 * kGiB);
  ExpectRoom(2 * kGiB - kContextBytes);
}

TEST_F(Processes, ThreadsThatBeginTogetherAreOneProcess) {
  constexpr uint64_t kEachBytes = 512 * kMiB;
  for (int round = 0; round < 4; ++round) {
    Running running = Start({"threads", "16", std::to_string(kEachBytes)});
    const uint64_t got = (tenant_.limit_bytes - kContextBytes) / kEachBytes;
    Expect(running, {"got " + std::to_string(got), "odd 0", "ready"});
    ExpectBoth(kContextBytes + got * kEachBytes);
    EXPECT_EQ(running.Wait(), 0);
  }
}

TEST_F(Processes, ClosedDescriptorsLoseNothing) {
  Running running = Start({"close", Gib(1)});
  Expect(running, {"begin 0", "alloc 0", "alloc 0", "ready"});
  ExpectBoth(kContextBytes + 2 * kGiB);
  ExpectRoom(2 * kGiB - kContextBytes);
  running.Kill();
  ExpectBoth(0);
}

TEST_F(Processes, AReusedPidInheritsNothing) {
  Running victim = Start({"hold", Gib(3)});
  Expect(victim, {"begin 0", "alloc 0", "ready"});
  const std::string pid = std::to_string(victim.pid());
  victim.Kill();
  Running heir = Start({"pid", pid, acts_, "hold", Gib(3), Gib(1)});
  const std::string first = heir.ReadLine();
  if (first.empty() && heir.Wait() == kCannot) GTEST_SKIP() << "may not choose a PID";
  EXPECT_EQ(first, "begin 0\n");
  Expect(heir, {"alloc 0", "alloc 2", "ready"});
  ExpectBoth(kContextBytes + 3 * kGiB);
}

// Both are process 1 where they live.
TEST_F(Processes, EqualPidsOfTwoNamespacesAreTwoProcesses) {
  Running first = Start({"namespace", acts_, "hold", Gib(1)});
  const std::string line = first.ReadLine();
  if (line.empty() && first.Wait() == kCannot) GTEST_SKIP() << "may not make namespaces";
  EXPECT_EQ(line, "begin 0\n");
  Expect(first, {"alloc 0", "ready"});
  Running second = Start({"namespace", acts_, "hold", Gib(3), Gib(2)});
  Expect(second, {"begin 0", "alloc 2", "alloc 0", "ready"});
  ExpectBoth(2 * kContextBytes + 3 * kGiB);
  EXPECT_EQ(first.Wait(), 0);
  ExpectBoth(kContextBytes + 2 * kGiB);
}

TEST_F(Processes, WithoutProcTheLimitHolds) {
  Running running = Start({"without-proc", acts_, "hold", Gib(5), Gib(3)});
  const std::string line = running.ReadLine();
  if (line.empty() && running.Wait() == kCannot) GTEST_SKIP() << "may not mount";
  EXPECT_EQ(line, "begin 0\n");
  Expect(running, {"alloc 2", "alloc 0", "ready"});
  ExpectBoth(kContextBytes + 3 * kGiB);
  running.Kill();
  ExpectRoom(4 * kGiB);
}

}  // namespace
}  // namespace hami::component
