// SPDX-License-Identifier: Apache-2.0
//
// At the limit: what is refused costs nothing, processes of a share are bounded together,
// neighbours notice nothing, and what dead processes had is there again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr uint64_t kGiB = 1024 * kMiB;
constexpr uint64_t kBlockBytes = 256 * kMiB;
// Of the card of profile a10-550, in whole pages.
constexpr uint64_t kUsableBytes = (23028 - 297) / 2 * kPageBytes;

std::string Alloc(uint64_t bytes) { return "alloc a " + std::to_string(bytes); }

Running StartWithContext(const Share& share) {
  Running script = share.Start({TestProgram("script"), {}, {}});
  EXPECT_EQ(Ask(script, "init"), "ok");
  EXPECT_EQ(Ask(script, "retain"), "ok");
  return script;
}

// Blocks until one is refused. Returns how many it got.
uint64_t Fill(Running& script) {
  for (uint64_t count = 0;; ++count) {
    const std::string answer = Ask(script, Alloc(kBlockBytes));
    if (answer == "ok") continue;
    EXPECT_EQ(answer, "error 2");
    return count;
  }
}

void KillAndLeaveUnreaped(const Running& script) {
  kill(script.pid(), SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(script.pid()), &info, WEXITED | WNOWAIT);
}

class Oom : public testing::Test {
 protected:
  Oom() { signal(SIGPIPE, SIG_IGN); }

  void ExpectBoth(uint64_t bytes) {
    EXPECT_EQ(tenant_.Truth(), bytes);
    EXPECT_EQ(tenant_.Charged(), bytes);
    EXPECT_EQ(TotalBytes(tenant_.share), bytes);
  }

  Tenant tenant_;
};

TEST_F(Oom, EveryFamilyIsRefusedAndCostsNothing) {
  Running script = StartWithContext(tenant_.share);
  const uint64_t held = tenant_.limit_bytes - kContextBytes - 2 * kPageBytes;
  ASSERT_EQ(Ask(script, Alloc(held)), "ok");
  ASSERT_EQ(Ask(script, "pool p"), "ok");
  uint64_t refused = 0;
  for (const std::string line :
       {"alloc x 4194305", "alloc x 9223372036854775808", "pitch x 1048576 5", "managed x 4194305",
        "managed x 18446744073709551615", "async x 1", "async x 1 p",
        "async x 18446744073709551615", "create x 6291456", "create x 9223372036854775808",
        "ctx x"}) {
    SCOPED_TRACE(line);
    EXPECT_EQ(Ask(script, line), "error 2");
    ExpectBoth(kContextBytes + held);
    EXPECT_EQ(RefusedCount(tenant_.share), ++refused);
  }
  // What fits still fits.
  EXPECT_EQ(Ask(script, "alloc x 4194304"), "ok");
  ExpectBoth(tenant_.limit_bytes);
  EXPECT_EQ(Ask(script, "module m " + std::string(HAMI_IMAGES) + "/sm_86.cubin"), "error 2");
  EXPECT_EQ(Ask(script, "alloc y 1"), "error 2");
  ExpectBoth(tenant_.limit_bytes);
  EXPECT_EQ(RefusedCount(tenant_.share), refused + 2);
}

// Sizes at which sums wrap: whoever refuses them, the library or the driver, nothing is charged.
TEST_F(Oom, AbsurdSizesCostNothing) {
  Running script = StartWithContext(tenant_.share);
  for (const char* bytes : {"18446744073709551615", "18446744073709551104", "18446744073707454464",
                            "18446744073709486080", "4611686018427387904"}) {
    for (const std::string verb : {"alloc x ", "managed x ", "async x ", "create x "}) {
      EXPECT_THAT(Ask(script, verb + bytes), testing::StartsWith("error ")) << verb << bytes;
      ExpectBoth(kContextBytes);
    }
    EXPECT_THAT(Ask(script, std::string("pitch x ") + bytes + " 2"), testing::StartsWith("error "));
    EXPECT_THAT(Ask(script, std::string("pitch x 512 ") + bytes), testing::StartsWith("error "));
    ExpectBoth(kContextBytes);
  }
}

TEST_F(Oom, AShareTooSmallForAContextHasNone) {
  const Share small(tenant_.simulation, {.memory = "253Mi", .context_bytes = kContextBytes});
  Running script = small.Start({TestProgram("script"), {}, {}});
  ASSERT_EQ(Ask(script, "init"), "ok");
  EXPECT_EQ(Ask(script, "retain"), "error 2");
  EXPECT_EQ(Ask(script, "ctx c"), "error 2");
  EXPECT_EQ(ChargedBytes(small), 0U);
  EXPECT_EQ(tenant_.Truth(), 0U);
  EXPECT_EQ(RefusedCount(small), 2U);
}

TEST_F(Oom, AnAllocationFitsAgainAfterAFree) {
  Running script = StartWithContext(tenant_.share);
  ASSERT_EQ(Ask(script, "alloc big " + std::to_string(3 * kGiB)), "ok");
  EXPECT_EQ(Ask(script, "alloc again " + std::to_string(3 * kGiB)), "error 2");
  EXPECT_EQ(Ask(script, "free big"), "ok");
  EXPECT_EQ(Ask(script, "alloc again " + std::to_string(3 * kGiB)), "ok");
  ExpectBoth(kContextBytes + 3 * kGiB);
}

TEST_F(Oom, TwoProcessesAreBoundedTogether) {
  Running first = StartWithContext(tenant_.share);
  Running second = StartWithContext(tenant_.share);
  const uint64_t room = (tenant_.limit_bytes - 2 * kContextBytes) / kBlockBytes;
  for (uint64_t i = 0; i < room; ++i) {
    EXPECT_EQ(Ask(i % 2 == 0 ? first : second, Alloc(kBlockBytes)), "ok");
  }
  EXPECT_EQ(Ask(first, Alloc(kBlockBytes)), "error 2");
  EXPECT_EQ(Ask(second, Alloc(kBlockBytes)), "error 2");
  ExpectBoth(2 * kContextBytes + room * kBlockBytes);
}

// All ask at the same time, again and again.
TEST_F(Oom, ARaceForTheLastBytesEndsAtTheLimit) {
  constexpr int kRacers = 4;
  constexpr int kLines = 64;
  constexpr uint64_t kSmallBytes = 32 * kMiB;
  std::vector<Running> racers;
  for (int i = 0; i < kRacers; ++i) racers.push_back(StartWithContext(tenant_.share));
  for (Running& racer : racers) {
    for (int i = 0; i < kLines; ++i) racer.WriteLine(Alloc(kSmallBytes));
  }
  uint64_t got = 0;
  for (Running& racer : racers) {
    for (int i = 0; i < kLines; ++i) {
      const std::string answer = racer.ReadLine();
      EXPECT_TRUE(answer == "ok\n" || answer == "error 2\n") << answer;
      if (answer == "ok\n") ++got;
    }
  }
  EXPECT_EQ(got, (tenant_.limit_bytes - kRacers * kContextBytes) / kSmallBytes);
  ExpectBoth(kRacers * kContextBytes + got * kSmallBytes);
  EXPECT_EQ(RefusedCount(tenant_.share), uint64_t{kRacers} * kLines - got);
}

TEST_F(Oom, TheNeighbourIsNotAffected) {
  const Share neighbour(tenant_.simulation, {.memory = "4Gi", .context_bytes = kContextBytes});
  Running other = StartWithContext(neighbour);
  ASSERT_EQ(Ask(other, Alloc(kGiB)), "ok");
  Running script = StartWithContext(tenant_.share);
  EXPECT_EQ(Fill(script), (tenant_.limit_bytes - kContextBytes) / kBlockBytes);
  EXPECT_EQ(ChargedBytes(neighbour), kContextBytes + kGiB);
  EXPECT_EQ(RefusedCount(neighbour), 0U);
  EXPECT_EQ(Fill(other), (tenant_.limit_bytes - kContextBytes - kGiB) / kBlockBytes);
  EXPECT_EQ(tenant_.Truth(), tenant_.Charged() + ChargedBytes(neighbour));
  EXPECT_EQ(RefusedCount(tenant_.share), 1U);
  EXPECT_EQ(RefusedCount(neighbour), 1U);
}

// The share would allow more than the card has: the driver refuses, and the charge is given back.
// That is not counted as refused by the limit.
TEST_F(Oom, AFullCardRefundsTheCharge) {
  const Share large(tenant_.simulation, {.memory = "100Gi", .context_bytes = kContextBytes});
  Running script = StartWithContext(large);
  const uint64_t held = 22 * kGiB - kContextBytes;
  ASSERT_EQ(Ask(script, Alloc(held)), "ok");
  const uint64_t left = kUsableBytes - kContextBytes - held;
  const std::string too_much = std::to_string(left + kPageBytes);
  for (const std::string& line :
       {"alloc x " + too_much, "pitch x " + std::to_string(kMiB) + " 1024", "async x " + too_much,
        "create x " + too_much}) {
    SCOPED_TRACE(line);
    EXPECT_EQ(Ask(script, line), "error 2");
    EXPECT_EQ(ChargedBytes(large), kContextBytes + held);
    EXPECT_EQ(tenant_.Truth(), kContextBytes + held);
  }
  EXPECT_EQ(Ask(script, "alloc rest " + std::to_string(left)), "ok");
  EXPECT_EQ(Ask(script, "ctx c"), "error 2");
  EXPECT_EQ(ChargedBytes(large), kUsableBytes);
  EXPECT_EQ(RefusedCount(large), 0U);
}

TEST_F(Oom, WhatAKilledProcessHadIsThereAgain) {
  for (int round = 0; round < 3; ++round) {
    Running script = StartWithContext(tenant_.share);
    EXPECT_EQ(Fill(script), (tenant_.limit_bytes - kContextBytes) / kBlockBytes);
    script.Kill();
    EXPECT_EQ(tenant_.Truth(), 0U);
    EXPECT_EQ(tenant_.Charged(), 0U);
  }
  Running next = StartWithContext(tenant_.share);
  ASSERT_EQ(Ask(next, Alloc(tenant_.limit_bytes - kContextBytes)), "ok");
  ExpectBoth(tenant_.limit_bytes);
}

// A process that was there before frees the dead one's slot when it needs the room.
TEST_F(Oom, ASurvivorGetsTheDeadProcessRoom) {
  Running survivor = StartWithContext(tenant_.share);
  Running victim = StartWithContext(tenant_.share);
  Fill(victim);
  ASSERT_EQ(Ask(survivor, Alloc(kGiB)), "error 2");
  victim.Kill();
  EXPECT_EQ(Ask(survivor, Alloc(tenant_.limit_bytes - kContextBytes)), "ok");
  ExpectBoth(tenant_.limit_bytes);
}

// The child shares the parent's driver handles, so the driver keeps the memory as long as it lives.
TEST_F(Oom, AForkedChildKeepsTheDeadParentsCharge) {
  Running parent = StartWithContext(tenant_.share);
  ASSERT_EQ(Ask(parent, Alloc(2 * kGiB)), "ok");
  ASSERT_GT(std::stol(Ask(parent, "fork")), 0);
  KillAndLeaveUnreaped(parent);
  const uint64_t kept = kContextBytes + 2 * kGiB;
  ExpectBoth(kept);

  Running next = StartWithContext(tenant_.share);
  ExpectBoth(kept + kContextBytes);
  const uint64_t rest = tenant_.limit_bytes - kept - kContextBytes;
  EXPECT_EQ(Ask(next, Alloc(rest + 1)), "error 2");
  EXPECT_EQ(Ask(next, Alloc(rest)), "ok");
  ExpectBoth(tenant_.limit_bytes);

  parent.Wait();  // closes the input that the child waits for
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (tenant_.Truth() > kContextBytes + rest && std::chrono::steady_clock::now() < deadline) {
    usleep(1000);
  }
  EXPECT_EQ(tenant_.Truth(), kContextBytes + rest);
  EXPECT_EQ(tenant_.Charged(), kContextBytes + rest);
  EXPECT_EQ(Ask(next, "alloc more " + std::to_string(2 * kGiB)), "ok");
  ExpectBoth(kContextBytes + rest + 2 * kGiB);
}

}  // namespace
}  // namespace hami::component
