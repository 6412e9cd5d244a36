// SPDX-License-Identifier: Apache-2.0
//
// On a virtual clock: an API server that answers or does not, holders that renew or do not, and
// replicas that look.

#include "extender/silent_leader.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kDurationMs = 3'000;

// The API server's memory of one Lease.
class Store {
 public:
  Store() { lease_.duration_s = kDurationMs / 1000; }
  void Write(const std::string& holder) {
    lease_.holder = holder;
    lease_.resource_version = std::to_string(++version_);
  }
  // False: the version is another.
  bool Patch(const kube::Lease& lease) {
    if (lease.resource_version != lease_.resource_version) return false;
    Write(lease.holder);
    return true;
  }
  const kube::Lease& lease() const { return lease_; }

 private:
  kube::Lease lease_;
  int version_ = 0;
};

// One replica's looks, with the Lease's own period.
class Replica {
 public:
  // A round at `at_ms`. True: it would release the Lease, as it saw it.
  std::optional<kube::Lease> Round(int64_t at_ms, bool answers, const Store& store) {
    if (answers) {
      judge_.NoteLook(store.lease(), at_ms * kMs);
    } else {
      judge_.NoteNoAnswer();
    }
    return judge_.Dead();
  }

 private:
  SilentLeader judge_;
};

constexpr int64_t kRoundMs = SilentLeader::LookEveryMs(kDurationMs);

// When one replica that looks from 0 on finds the leader dead; -1: not until `end_ms`.
int64_t DeadAt(int64_t end_ms, const std::function<bool(int64_t)>& answers,
               const std::function<bool(int64_t)>& renews) {
  Store store;
  store.Write("hami-2_b");
  Replica replica;
  for (int64_t at_ms = 0; at_ms < end_ms; at_ms += kRoundMs) {
    if (answers(at_ms) && renews(at_ms)) store.Write("hami-2_b");
    if (replica.Round(at_ms, answers(at_ms), store)) return at_ms;
  }
  return -1;
}

bool Always(int64_t /*at_ms*/) { return true; }
bool Never(int64_t /*at_ms*/) { return false; }

TEST(SilentLeaderTest, OneThatDiedIsFoundBeforeItsHoldingIsOver) {
  const int64_t at_ms = DeadAt(10'000, Always, Never);
  EXPECT_EQ(at_ms, 1'000);
  EXPECT_LT(SilentLeader::QuietMs(kDurationMs) + at_ms + kRoundMs, kDurationMs * 2 / 3);
}

TEST(SilentLeaderTest, OneThatRenewsIsNeverFoundDead) {
  EXPECT_EQ(DeadAt(60'000, Always, Always), -1);
  // Nor one that needs four tries for each.
  EXPECT_EQ(DeadAt(60'000, Always, [](int64_t at_ms) { return at_ms % (4 * kRoundMs) == 0; }), -1);
}

TEST(SilentLeaderTest, WhileTheApiServerStallsNoTimeIsCounted) {
  // 2 s of each 2.4 s, and nobody can renew in it; after it the leader needs two rounds.
  const auto answers = [](int64_t at_ms) { return at_ms % 2'400 >= 2'000; };
  const auto renews = [](int64_t at_ms) { return at_ms % 2'400 == 2'200; };
  EXPECT_EQ(DeadAt(60'000, answers, renews), -1);
  // And a stall alone says nothing, however long it is.
  EXPECT_EQ(DeadAt(60'000, Never, Never), -1);
}

TEST(SilentLeaderTest, ADeadLeaderIsFoundInBadWeatherToo) {
  // Every fourth look gets no answer.
  const auto answers = [](int64_t at_ms) { return at_ms / kRoundMs % 4 != 3; };
  EXPECT_GT(DeadAt(60'000, answers, Never), 1'000);
}

TEST(SilentLeaderTest, AReplicaThatSleptCountsNothingOfIt) {
  Store store;
  store.Write("hami-2_b");
  Replica replica;
  EXPECT_FALSE(replica.Round(0, true, store));
  EXPECT_FALSE(replica.Round(60'000, true, store));
  EXPECT_FALSE(replica.Round(60'200, true, store));
}

TEST(SilentLeaderTest, OfTwoReplicasOneReleases) {
  Store store;
  store.Write("hami-2_b");
  std::vector<Replica> replicas(2);
  int released = 0;
  for (int64_t at_ms = 0; at_ms < 5'000; at_ms += kRoundMs) {
    std::vector<std::optional<kube::Lease>> dead;
    for (Replica& replica : replicas) dead.push_back(replica.Round(at_ms, true, store));
    for (const auto& lease : dead) {
      if (lease && store.Patch(ReleasedLease(*lease, 0))) ++released;
    }
  }
  EXPECT_EQ(released, 1);
  EXPECT_EQ(store.lease().holder, "");
}

TEST(SilentLeaderTest, ARenewalThatComesFirstWins) {
  Store store;
  store.Write("hami-2_b");
  Replica replica;
  std::optional<kube::Lease> dead;
  for (int64_t at_ms = 0; !dead; at_ms += kRoundMs) dead = replica.Round(at_ms, true, store);
  store.Write("hami-2_b");  // it was paused, and goes on
  EXPECT_FALSE(store.Patch(ReleasedLease(*dead, 0)));
  EXPECT_EQ(store.lease().holder, "hami-2_b");
}

TEST(SilentLeaderTest, IsReleasedAsClientGoDoesIt) {
  kube::Lease lease;
  lease.key = {"hami-system", "hami-scheduler"};
  lease.resource_version = "7";
  lease.holder = "hami-2_b";
  lease.duration_s = 3;
  lease.transitions = 4;
  const kube::Lease released = ReleasedLease(lease, 1'700'000'000'000'000'000);
  EXPECT_EQ(kube::WriteLeasePatch(released),
            R"({"metadata":{"resourceVersion":"7"},"spec":{"holderIdentity":"",)"
            R"("leaseDurationSeconds":1,"acquireTime":"2023-11-14T22:13:20.000000Z",)"
            R"("renewTime":"2023-11-14T22:13:20.000000Z","leaseTransitions":4}})");
}

TEST(SilentLeaderTest, WhatNobodyHoldsIsNotReleased) {
  Store store;
  store.Write("");
  Replica replica;
  for (int64_t at_ms = 0; at_ms < 5'000; at_ms += kRoundMs) {
    EXPECT_FALSE(replica.Round(at_ms, true, store));
  }
}

}  // namespace
}  // namespace hami::extender
