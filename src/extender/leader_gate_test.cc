// SPDX-License-Identifier: Apache-2.0

#include "extender/leader_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::extender {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMs = 1'000'000;

// Wall and monotonic time advance together unless a test says otherwise.
class LeaderGateTest : public ::testing::Test {
 protected:
  static constexpr int64_t kWall = 1'700'000'000'000'000'000;

  // The first look, at no Lease.
  LeaderGateTest() { Observe(0, std::nullopt, LeaderGate::After::kGap); }

  static kube::Lease Lease(const std::string& holder, int64_t renewed_ms, int64_t duration_s = 15) {
    kube::Lease lease;
    lease.holder = holder;
    lease.duration_s = duration_s;
    lease.renewed_ns = kWall + renewed_ms * kMs;
    return lease;
  }
  void Observe(int64_t at_ms, const std::optional<kube::Lease>& lease,
               LeaderGate::After after = LeaderGate::After::kEverythingBefore) {
    gate_.Observe(lease, after, at_ms * kMs, kWall + at_ms * kMs);
  }
  int64_t Left(int64_t at_ms) { return gate_.LeftMs(at_ms * kMs, kWall + at_ms * kMs); }
  uint64_t Term(int64_t at_ms) { return gate_.Term(at_ms * kMs, kWall + at_ms * kMs); }
  std::string Why(int64_t at_ms) { return gate_.Describe(at_ms * kMs, kWall + at_ms * kMs); }
  void CatchUp(int64_t at_ms) { gate_.NoteCaughtUp(Term(at_ms)); }

  LeaderGate gate_{"hami-1"};
};

TEST(LeaseTest, TheHolderIsTheWholeHostName) {
  EXPECT_TRUE(IsHeldBy("hami-1_0f3c", "hami-1"));
  // A prefix is another host: HAMi takes hami-10 for hami-1.
  EXPECT_FALSE(IsHeldBy("hami-10_0f3c", "hami-1"));
  EXPECT_FALSE(IsHeldBy("hami-1", "hami-1"));
  EXPECT_FALSE(IsHeldBy("", "hami-1"));
  EXPECT_FALSE(IsHeldBy("_0f3c", ""));
}

TEST_F(LeaderGateTest, NobodyDecidesWithoutALease) {
  EXPECT_EQ(Left(0), 0);
  Observe(0, std::nullopt);
  EXPECT_EQ(Left(0), 0);
  EXPECT_THAT(Why(0), HasSubstr("no Lease"));
}

TEST_F(LeaderGateTest, DecidesOnlyAfterAllPodsWereRead) {
  Observe(0, Lease("hami-1_a", 0));
  EXPECT_NE(Term(0), 0);
  EXPECT_EQ(Left(0), 0);
  EXPECT_THAT(Why(0), HasSubstr("reading all pods"));
  CatchUp(0);
  EXPECT_EQ(Left(0), 10'000);  // two thirds of the Lease
  EXPECT_EQ(Left(9'000), 1'000);
  EXPECT_EQ(Left(10'000), 0);
  EXPECT_EQ(Left(99'000), 0);
}

TEST_F(LeaderGateTest, WhatAProcessBeforeThisOneWroteMayStillLand) {
  LeaderGate restarted("hami-1");
  restarted.Observe(Lease("hami-1_a", 0), LeaderGate::After::kGap, 0, kWall);
  EXPECT_EQ(restarted.OtherLeftMs(0), 5'000);
  EXPECT_EQ(restarted.OtherLeftMs(5'000 * kMs), 0);
  // Whoever saw that nobody had it, or another, knows that there was none.
  Observe(1'000, Lease("hami-1_a", 1'000));
  EXPECT_EQ(gate_.OtherLeftMs(1'000 * kMs), 0);
}

TEST_F(LeaderGateTest, ARenewalGoesOn) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  Observe(2'000, Lease("hami-1_a", 2'000));
  EXPECT_EQ(Left(2'000), 10'000);
}

TEST_F(LeaderGateTest, AnEchoThatComesLateDoesNotLengthenTheLease) {
  // Renewed at 0, heard of 4 s later: by the holder's clock 6 s are left.
  Observe(4'000, Lease("hami-1_a", 0));
  CatchUp(4'000);
  EXPECT_EQ(Left(4'000), 6'000);
  // The same renewal again, as after a new list, does not either.
  Observe(6'000, Lease("hami-1_a", 0));
  EXPECT_EQ(Left(6'000), 4'000);
}

TEST_F(LeaderGateTest, AClockThatJumpsBackDoesNotLengthenTheLease) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  EXPECT_EQ(gate_.LeftMs(9'000 * kMs, kWall - 3'600'000 * kMs), 1'000);
}

TEST_F(LeaderGateTest, AnotherHoldingHasToRunOutFirst) {
  Observe(0, Lease("hami-10_b", 0));
  EXPECT_THAT(Why(0), HasSubstr("held by hami-10_b"));
  // It is given up, which frees it at once for kube-scheduler, not for us: a bind may be under way.
  Observe(1'000, Lease("", 1'000, 1));
  Observe(1'200, Lease("hami-1_a", 1'200));
  EXPECT_EQ(gate_.OtherLeftMs(1'200 * kMs), 8'800);
  EXPECT_THAT(Why(1'200), HasSubstr("no time left"));
  Observe(9'000, Lease("hami-1_a", 9'000));
  EXPECT_EQ(gate_.OtherLeftMs(10'000 * kMs), 0);
}

// However much their clocks differ: what the holder before has left by its own clock is over when
// we begin, also if we heard of its last renewal late.
TEST_F(LeaderGateTest, TwoHoldingsNeverOverlap) {
  constexpr int64_t kSkew = 7'000;
  LeaderGate before{"hami-2"};
  const kube::Lease lease = Lease("hami-2_b", 0);
  before.Observe(lease, LeaderGate::After::kEverythingBefore, (kSkew + 0) * kMs, kWall);
  before.NoteCaughtUp(before.Term(kSkew * kMs, kWall));
  Observe(300, lease);
  Observe(5'000, Lease("", 5'000, 1));
  Observe(5'100, Lease("hami-1_a", 5'100));
  for (int64_t at_ms = 5'100; at_ms < 15'000; at_ms += 50) {
    const int64_t its_left = before.LeftMs((kSkew + at_ms) * kMs, kWall + at_ms * kMs);
    EXPECT_FALSE(its_left > 0 && gate_.OtherLeftMs(at_ms * kMs) == 0) << at_ms;
  }
}

TEST_F(LeaderGateTest, AStallShorterThanTheLeaseCostsNoReading) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  const uint64_t before = Term(0);
  // No time left for binds, but nobody else can have had the Lease.
  EXPECT_EQ(Left(12'000), 0);
  Observe(14'000, Lease("hami-1_a", 14'000));
  EXPECT_EQ(Term(14'000), before);
  EXPECT_EQ(Left(14'000), 10'000);
}

TEST_F(LeaderGateTest, ALeaseThatWasReleasedForUsAndTakenAgainIsReadForAgain) {
  kube::Lease lease = Lease("hami-1_a", 0);
  lease.transitions = 4;
  Observe(0, lease);
  CatchUp(0);
  lease = Lease("hami-1_a", 2'000);
  lease.transitions = 6;  // another had it in between, of which we heard nothing
  lease.acquired_ns = lease.renewed_ns;
  Observe(2'000, lease, LeaderGate::After::kGap);
  EXPECT_EQ(Left(2'000), 0);
  EXPECT_EQ(gate_.OtherLeftMs(2'000 * kMs), 10'000);
}

TEST_F(LeaderGateTest, WhoSawNothingBeforeWaitsForWhoeverHeldIt) {
  kube::Lease lease = Lease("hami-1_a", 3'000);
  lease.transitions = 1;
  lease.acquired_ns = lease.renewed_ns - 3'000 * kMs;  // by the same clock
  Observe(3'100, lease, LeaderGate::After::kGap);
  EXPECT_EQ(gate_.OtherLeftMs(3'100 * kMs), 7'000);
}

TEST_F(LeaderGateTest, TheFirstHolderEverWaitsForNobody) {
  kube::Lease lease = Lease("hami-1_a", 0);
  lease.acquired_ns = lease.renewed_ns;
  Observe(0, lease, LeaderGate::After::kGap);
  EXPECT_EQ(gate_.OtherLeftMs(0), 0);
}

TEST_F(LeaderGateTest, SilenceIsCountedFromTheLastRenewalOfAHolder) {
  EXPECT_EQ(gate_.SilentMs(9'000 * kMs), 0);
  Observe(0, Lease("hami-2_b", 0));
  Observe(200, Lease("hami-2_b", 200));
  EXPECT_EQ(gate_.SilentMs(900 * kMs), 700);
  Observe(1'000, Lease("", 1'000));
  EXPECT_EQ(gate_.SilentMs(9'000 * kMs), 0);
}

TEST_F(LeaderGateTest, ALeaseThatWasLostAndComesBackIsReadForAgain) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  Observe(20'000, Lease("hami-2_b", 20'000));
  EXPECT_EQ(Left(20'000), 0);
  Observe(40'000, Lease("hami-1_a", 40'000));
  EXPECT_EQ(Left(40'000), 0);
  CatchUp(40'000);
  EXPECT_EQ(Left(40'000), 10'000);
}

TEST_F(LeaderGateTest, ALeaseThatRanOutIsReadForAgain) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  const uint64_t before = Term(0);
  // Nothing was heard for long: another may have had it in between.
  Observe(30'000, Lease("hami-1_a", 30'000));
  EXPECT_NE(Term(30'000), before);
  EXPECT_EQ(Left(30'000), 0);
}

TEST_F(LeaderGateTest, AnotherProcessOfTheSameHostIsANewHolding) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  Observe(1'000, Lease("hami-1_b", 1'000));
  EXPECT_EQ(Left(1'000), 0);
}

TEST_F(LeaderGateTest, CatchingUpWithATermThatIsOverIsNotEnough) {
  Observe(0, Lease("hami-1_a", 0));
  const uint64_t old = Term(0);
  Observe(20'000, Lease("hami-2_b", 20'000));
  Observe(40'000, Lease("hami-1_a", 40'000));
  gate_.NoteCaughtUp(old);
  EXPECT_EQ(Left(40'000), 0);
}

}  // namespace
}  // namespace hami::extender
