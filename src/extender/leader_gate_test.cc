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

  static kube::Lease Lease(const std::string& holder, int64_t renewed_ms, int64_t duration_s = 15) {
    kube::Lease lease;
    lease.holder = holder;
    lease.duration_s = duration_s;
    lease.renewed_ns = kWall + renewed_ms * kMs;
    return lease;
  }
  void Observe(int64_t at_ms, const std::optional<kube::Lease>& lease) {
    gate_.Observe(lease, at_ms * kMs, kWall + at_ms * kMs);
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
  EXPECT_EQ(Left(0), 15'000);
  EXPECT_EQ(Left(14'000), 1'000);
  EXPECT_EQ(Left(15'000), 0);
  EXPECT_EQ(Left(99'000), 0);
}

TEST_F(LeaderGateTest, ARenewalGoesOn) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  Observe(2'000, Lease("hami-1_a", 2'000));
  EXPECT_EQ(Left(2'000), 15'000);
}

TEST_F(LeaderGateTest, AnEchoThatComesLateDoesNotLengthenTheLease) {
  // Renewed at 0, heard of 4 s later: by the holder's clock 11 s are left.
  Observe(4'000, Lease("hami-1_a", 0));
  CatchUp(4'000);
  EXPECT_EQ(Left(4'000), 11'000);
  // The same renewal again, as after a new list, does not either.
  Observe(6'000, Lease("hami-1_a", 0));
  EXPECT_EQ(Left(6'000), 9'000);
}

TEST_F(LeaderGateTest, AClockThatJumpsBackDoesNotLengthenTheLease) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  EXPECT_EQ(gate_.LeftMs(14'000 * kMs, kWall - 3'600'000 * kMs), 1'000);
}

TEST_F(LeaderGateTest, AnotherHoldersLeaseHasToRunOutFirst) {
  Observe(0, Lease("hami-10_b", 0));
  EXPECT_THAT(Why(0), HasSubstr("held by hami-10_b"));
  // It is given up, which frees it at once for kube-scheduler, not for us: a bind may be under way.
  Observe(1'000, Lease("", 1'000, 1));
  Observe(1'200, Lease("hami-1_a", 1'200));
  EXPECT_EQ(gate_.OtherLeftMs(1'200 * kMs), 13'800);
  EXPECT_THAT(Why(1'200), HasSubstr("no time left"));
  Observe(14'000, Lease("hami-1_a", 14'000));
  EXPECT_EQ(gate_.OtherLeftMs(15'000 * kMs), 0);
}

TEST_F(LeaderGateTest, ALeaseThatWasLostAndComesBackIsReadForAgain) {
  Observe(0, Lease("hami-1_a", 0));
  CatchUp(0);
  Observe(20'000, Lease("hami-2_b", 20'000));
  EXPECT_EQ(Left(20'000), 0);
  Observe(40'000, Lease("hami-1_a", 40'000));
  EXPECT_EQ(Left(40'000), 0);
  CatchUp(40'000);
  EXPECT_EQ(Left(40'000), 15'000);
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
