// SPDX-License-Identifier: Apache-2.0

#include "kube/election.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <vector>

namespace hami::kube {
namespace {

using Kind = Election::Step::Kind;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = 1'000 * kSecond;
constexpr int64_t kWall = 1'787'306'400 * kSecond;

ElectionOptions Options(const std::string& identity) {
  return {.lease = {"ns", "lease"}, .identity = identity};
}

Election Candidate(const std::string& identity = "a") {
  return {Options(identity), [] { return uint64_t{0}; }};
}

Result<Lease> None() { return Fail(Code::kNotFound, "none"); }
Result<Lease> Broken() { return Fail(Code::kUnavailable, "away"); }
Result<Lease> Conflict() { return Fail(Code::kAborted, "changed"); }

Lease HeldBy(const std::string& holder, int64_t renewed_ns = kWall) {
  return {.key = {"ns", "lease"},
          .resource_version = "7",
          .holder = holder,
          .duration_s = 15,
          .acquired_ns = kWall - 100 * kSecond,
          .renewed_ns = renewed_ns,
          .transitions = 4};
}

// One that leads since kNow.
Election Leader() {
  Election election = Candidate();
  election.Start();
  const auto step = election.OnRead(None(), kNow, kWall);
  election.OnWritten(step.lease, kNow);
  return election;
}

TEST(ElectionTest, CreatesTheLeaseWhereThereIsNone) {
  Election election = Candidate();
  EXPECT_EQ(election.Start().kind, Kind::kRead);
  const auto step = election.OnRead(None(), kNow, kWall);
  EXPECT_EQ(step.kind, Kind::kCreate);
  EXPECT_EQ(step.lease.key, (ObjectKey{"ns", "lease"}));
  EXPECT_EQ(step.lease.holder, "a");
  EXPECT_EQ(step.lease.duration_s, 15);
  EXPECT_EQ(step.lease.acquired_ns, kWall);
  EXPECT_EQ(step.lease.renewed_ns, kWall);
  EXPECT_EQ(step.lease.transitions, 0);
  EXPECT_FALSE(election.IsLeader(kNow)) << "not before the server says so";
  const auto wait = election.OnWritten(step.lease, kNow + 500 * kMs);
  EXPECT_EQ(wait.kind, Kind::kWait);
  EXPECT_EQ(wait.delay_ms, 2'000);
  EXPECT_TRUE(election.IsLeader(kNow + kSecond));
  EXPECT_EQ(election.holder(), "a");
  // From before the write, since nobody knows when the server made it.
  EXPECT_EQ(election.LeftMs(kNow + kSecond), 9'000);
}

TEST(ElectionTest, AnothersLeaseIsLeftAloneForItsTimeByOurClock) {
  Election election = Candidate();
  election.Start();
  // Its own clock is far behind: that says nothing.
  auto step = election.OnRead(HeldBy("b", kWall - 1'000 * kSecond), kNow, kWall);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_GE(step.delay_ms, 2'000);
  EXPECT_LE(step.delay_ms, 4'400);
  EXPECT_EQ(election.holder(), "b");
  EXPECT_EQ(election.OnWaited(kNow, kWall).kind, Kind::kRead);
  const auto still = HeldBy("b", kWall - 1'000 * kSecond);
  EXPECT_EQ(election.OnRead(still, kNow + 15 * kSecond - 1, kWall).kind, Kind::kWait);
  step = election.OnRead(still, kNow + 15 * kSecond, kWall);
  EXPECT_EQ(step.kind, Kind::kPatch);
  EXPECT_EQ(step.lease.holder, "a");
  EXPECT_EQ(step.lease.transitions, 5);
  EXPECT_EQ(step.lease.resource_version, "7");
  EXPECT_EQ(step.lease.acquired_ns, kWall);
}

TEST(ElectionTest, ARenewalStartsTheTimeAgain) {
  Election election = Candidate();
  election.Start();
  election.OnRead(HeldBy("b", kWall), kNow, kWall);
  election.OnRead(HeldBy("b", kWall + kSecond), kNow + 14 * kSecond, kWall);
  const auto same = HeldBy("b", kWall + kSecond);
  EXPECT_EQ(election.OnRead(same, kNow + 28 * kSecond, kWall).kind, Kind::kWait);
  EXPECT_EQ(election.OnRead(same, kNow + 29 * kSecond, kWall).kind, Kind::kPatch);
}

TEST(ElectionTest, AChangedLabelIsNoRenewal) {
  Election election = Candidate();
  election.Start();
  election.OnRead(HeldBy("b"), kNow, kWall);
  Lease labelled = HeldBy("b");
  labelled.resource_version = "8";
  EXPECT_EQ(election.OnRead(labelled, kNow + 15 * kSecond, kWall).kind, Kind::kPatch);
}

TEST(ElectionTest, NobodysLeaseIsTakenAtOnce) {
  Election election = Candidate();
  election.Start();
  const auto step = election.OnRead(HeldBy(""), kNow, kWall);
  EXPECT_EQ(step.kind, Kind::kPatch);
  EXPECT_EQ(step.lease.transitions, 5);
}

TEST(ElectionTest, AHolderRenewsWithoutReading) {
  Election election = Leader();
  const auto step = election.OnWaited(kNow + 2 * kSecond, kWall + 2 * kSecond);
  EXPECT_EQ(step.kind, Kind::kPatch);
  EXPECT_EQ(step.lease.acquired_ns, kWall);
  EXPECT_EQ(step.lease.renewed_ns, kWall + 2 * kSecond);
  EXPECT_EQ(step.lease.transitions, 0);
  election.OnWritten(step.lease, kNow + 3 * kSecond);
  EXPECT_EQ(election.LeftMs(kNow + 3 * kSecond), 9'000);
}

TEST(ElectionTest, ARenewalThatFailsReadsAndTriesAgain) {
  Election election = Leader();
  election.OnWaited(kNow + 2 * kSecond, kWall);
  EXPECT_EQ(election.OnWritten(Conflict(), kNow + 2 * kSecond).kind, Kind::kRead);
  // Somebody put a label on it.
  Lease labelled = HeldBy("a");
  labelled.resource_version = "9";
  const auto step = election.OnRead(labelled, kNow + 2 * kSecond, kWall);
  EXPECT_EQ(step.kind, Kind::kPatch);
  EXPECT_EQ(step.lease.resource_version, "9");
  EXPECT_EQ(step.lease.transitions, 4);
  EXPECT_TRUE(election.IsLeader(kNow + 2 * kSecond));
  EXPECT_EQ(election.OnWritten(Conflict(), kNow + 3 * kSecond).kind, Kind::kWait);
}

TEST(ElectionTest, LeadsNoLongerAfterTheDeadline) {
  Election election = Leader();
  int64_t now_ns = kNow;
  for (; now_ns < kNow + 10 * kSecond; now_ns += 2 * kSecond) {
    EXPECT_TRUE(election.IsLeader(now_ns)) << now_ns - kNow;
    election.OnWaited(now_ns, kWall);
    EXPECT_EQ(election.OnWritten(Broken(), now_ns).kind, Kind::kRead);
    const auto wait = election.OnRead(Broken(), now_ns, kWall);
    EXPECT_EQ(wait.kind, Kind::kWait);
    EXPECT_EQ(wait.delay_ms, 2'000);
  }
  EXPECT_FALSE(election.IsLeader(now_ns));
  EXPECT_EQ(election.OnWaited(now_ns, kWall).kind, Kind::kRead);
}

TEST(ElectionTest, SeesThatAnotherHasIt) {
  Election election = Leader();
  election.OnWaited(kNow + 2 * kSecond, kWall);
  election.OnWritten(Conflict(), kNow + 2 * kSecond);
  EXPECT_EQ(election.OnRead(HeldBy("b"), kNow + 2 * kSecond, kWall).kind, Kind::kWait);
  EXPECT_FALSE(election.IsLeader(kNow + 2 * kSecond));
}

TEST(ElectionTest, GivesBackWhatItHas) {
  Election other = Candidate();
  EXPECT_FALSE(other.Release(kNow, kWall));
  Election election = Leader();
  const auto lease = election.Release(kNow + kSecond, kWall + kSecond);
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->holder, "");
  EXPECT_EQ(lease->duration_s, 1);
  EXPECT_EQ(lease->renewed_ns, kWall + kSecond);
  EXPECT_FALSE(election.IsLeader(kNow + kSecond));
  EXPECT_FALSE(election.Release(kNow + kSecond, kWall));
}

// Several candidates with clocks that run differently, on a server that loses requests and answers
// and delays both: never do two lead at once, and somebody does in the end.
class Storm {
 public:
  explicit Storm(unsigned seed) : random_(seed) {
    for (const char* name : {"a", "b", "c"}) {
      replicas_.push_back({Election(Options(name), [this] { return Bits(); }),
                           static_cast<int64_t>(Bits() % 1'000) * kSecond});
    }
    for (size_t i = 0; i < replicas_.size(); ++i) Send(i, replicas_[i].election.Start());
  }

  // Whether somebody led.
  bool Run(int64_t until_ns, bool lossy) {
    bool led = false;
    while (now_ns_ < until_ns) {
      const auto next = due_.begin();
      now_ns_ = next->first;
      const std::function<void()> task = std::move(next->second);
      due_.erase(next);
      lossy_ = lossy;
      task();
      int leaders = 0;
      for (const Replica& replica : replicas_) {
        leaders += replica.election.IsLeader(now_ns_ + replica.offset_ns) ? 1 : 0;
      }
      EXPECT_LE(leaders, 1) << "at " << now_ns_ / kMs << " ms";
      led = led || leaders == 1;
    }
    return led;
  }

 private:
  struct Replica {
    Election election;
    int64_t offset_ns;
  };

  uint64_t Bits() { return uint64_t{random_()} << 32 | random_(); }
  void After(int64_t delay_ns, std::function<void()> task) {
    due_.emplace(now_ns_ + delay_ns, std::move(task));
  }
  // Up to 3 s, mostly little.
  int64_t Delay() {
    return static_cast<int64_t>(Bits() % (Bits() % 8 == 0 ? 3'000 : 20)) * kMs + 1;
  }
  bool IsLost() { return lossy_ && Bits() % 3 == 0; }

  void Send(size_t i, const Election::Step& step) {
    Replica& replica = replicas_[i];
    const auto now = [this, &replica] { return now_ns_ + replica.offset_ns; };
    if (step.kind == Kind::kWait) {
      return After(step.delay_ms * kMs,
                   [=, this, &replica] { Send(i, replica.election.OnWaited(now(), now())); });
    }
    const auto answer = [=, this, &replica](const Result<Lease>& lease) {
      const bool is_read = step.kind == Kind::kRead;
      Send(i, is_read ? replica.election.OnRead(lease, now(), now())
                      : replica.election.OnWritten(lease, now()));
    };
    if (IsLost()) return After(5 * kSecond, [=] { answer(Broken()); });
    const bool answer_is_lost = IsLost();
    After(Delay(), [=, this] {
      const Result<Lease> result = Serve(step);
      if (answer_is_lost) return After(5 * kSecond, [=] { answer(Broken()); });
      After(Delay(), [=] { answer(result); });
    });
  }

  Result<Lease> Serve(const Election::Step& step) {
    if (step.kind == Kind::kRead && !stored_) return None();
    if (step.kind == Kind::kRead) return *stored_;
    if (step.kind == Kind::kCreate && stored_) return Fail(Code::kAlreadyExists, "there");
    if (step.kind == Kind::kPatch && step.lease.resource_version != stored_->resource_version) {
      return Conflict();
    }
    stored_ = step.lease;
    stored_->resource_version = std::to_string(++version_);
    return *stored_;
  }

  std::mt19937 random_;
  std::vector<Replica> replicas_;
  std::multimap<int64_t, std::function<void()>> due_;
  std::optional<Lease> stored_;
  int version_ = 0;
  int64_t now_ns_ = kNow;
  bool lossy_ = false;
};

TEST(ElectionTest, NeverTwoWhateverIsLost) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Storm storm(seed);
    storm.Run(kNow + 600 * kSecond, true);
    EXPECT_TRUE(storm.Run(kNow + 660 * kSecond, false));
  }
}

}  // namespace
}  // namespace hami::kube
