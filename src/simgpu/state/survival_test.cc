// SPDX-License-Identifier: Apache-2.0
//
// What a SIGKILL leaves: nothing. Processes are killed where it hurts, and at random moments;
// HAMI_SOAK_SECONDS lets the random part run longer.

#include <fcntl.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "simgpu/state/fake_machine.h"
#include "simgpu/state/lock.h"
#include "simgpu/state/os.h"
#include "simgpu/state/timeline.h"

namespace hami::simgpu {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kAtOnceNs = 20 * kSecondNs;  // on the busiest host

// Takes the lock, which must be possible at once, and lets go.
void ExpectLockIsFree(const AttachedMachine& attached) {
  const uint64_t before = os::NowNs();
  {
    const LockGuard guard(attached.machine());
  }
  EXPECT_LT(os::NowNs() - before, kAtOnceNs);
}

// Totals are the sums of the records, in the state as it stands.
void ExpectConsistent(const AttachedMachine& attached) {
  const LockGuard guard(attached.machine());
  const State& state = attached.state();
  for (uint32_t d = 0; d < state.config.device_count; ++d) {
    uint64_t used = 0;
    for (const Client& client : state.clients) {
      if (client.in_use != 0) used += client.devices[d].used_bytes;
    }
    EXPECT_EQ(state.devices[d].used_bytes, used);
    EXPECT_LE(used, kTestUsableBytes);
  }
  for (uint32_t i = 0; i < kMaxContexts; ++i) {
    const Context& context = state.contexts[i];
    const uint64_t active = state.devices[context.device].active[i / 64] >> i % 64 & 1;
    EXPECT_EQ(active != 0, context.in_use != 0 && context.pending != 0);
  }
}

TEST(SurvivalTest, WhatADeadProcessHadIsFreed) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    EXPECT_TRUE(own.Reserve(500 * kTestMib));
    const LockGuard guard(own.machine());
    const int context = OpenContext(own.machine(), own.state(), 0);
    WorkItem forever = {};
    forever.kind = WorkKind::kKernel;
    forever.remaining_ns = 1'000'000 * kSecondNs;
    forever.demand_q16 = 65536;
    EXPECT_TRUE(Submit(own.state(), static_cast<uint32_t>(context), 0, forever, os::NowNs()));
    EXPECT_GE(OpenEventSlot(own.machine(), own.state()), 0);
    self.SayReady();
    // Dies with the lock, at the next line.
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  child.Kill();
  ExpectLockIsFree(looker);
  EXPECT_EQ(looker.state().repairs, 1U);
  EXPECT_EQ(looker.Used(), 0U);
  EXPECT_EQ(looker.state().reaped, 1U);
  EXPECT_EQ(looker.state().contexts[0].in_use, 0U);
  EXPECT_EQ(looker.state().devices[0].active[0], 0U);
  EXPECT_EQ(looker.state().events[0].client_plus_1, 0U);
  ExpectConsistent(looker);
}

TEST(SurvivalTest, AHalfDoneReservationIsSettled) {
  const FakeMachine fake;
  const AttachedMachine looker(fake);
  ASSERT_TRUE(looker.Reserve(10 * kTestMib));
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    Lock(own.machine());
    own.state().clients[own.machine().client].devices[0].used_bytes += kTestMib;
    self.SayReady();
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  child.Kill();
  ExpectLockIsFree(looker);
  ExpectConsistent(looker);
  EXPECT_EQ(looker.Used(), 10 * kTestMib);
}

// The next to come gets the dead owner's slot and number, before any waiter has judged it dead.
// That is so only where no other slot is clean.
TEST(SurvivalTest, ANewProcessTakesTheLockOfTheDeadOneWhosePlaceItGets) {
  const FakeMachine fake;
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    Lock(own.machine());
    for (Client& client : own.state().clients) client.in_use = 1;
    own.state().devices[0].used_bytes += 5;
    self.SayReady(static_cast<int>(own.machine().client));
    Child::StayForever();
  });
  const int slot = child.WaitReady();
  child.Kill();
  const uint64_t before = os::NowNs();
  const AttachedMachine next(fake);
  EXPECT_LT(os::NowNs() - before, kAtOnceNs);
  EXPECT_EQ(next.machine().client, static_cast<uint32_t>(slot));
  EXPECT_EQ(next.state().repairs, 1U);
  ExpectConsistent(next);
}

// What a dead client has left is everybody's to reap: a newcomer does not take its place before.
TEST(SurvivalTest, ANewProcessLeavesTheDeadToTheReaper) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    EXPECT_TRUE(own.Reserve(kTestMib));
    self.SayReady(static_cast<int>(own.machine().client));
    Child::StayForever();
  });
  const int slot = child.WaitReady();
  child.Kill();
  const AttachedMachine next(fake);
  EXPECT_NE(next.machine().client, static_cast<uint32_t>(slot));
  EXPECT_EQ(looker.Used(), 0U);
}

TEST(SurvivalTest, ASlowOwnerKeepsTheLock) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    Lock(own.machine());
    self.SayReady();
    os::SleepUntil(os::NowNs() + kSecondNs / 5);
    own.state().devices[0].switches = 1;
    Unlock(own.machine());
  });
  ASSERT_EQ(child.WaitReady(), 0);
  const LockGuard guard(looker.machine());
  EXPECT_EQ(looker.state().devices[0].switches, 1U);
  EXPECT_EQ(looker.state().repairs, 0U);
}

TEST(SurvivalTest, ClosingEveryDescriptorChangesNothing) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    EXPECT_TRUE(own.Reserve(kTestMib));
    self.SayReady();
    for (int fd = 0; fd < 900; ++fd) close(fd);
    // What opens and closes the file again, as other libraries may, does not give the slot up.
    close(open(fake.path().c_str(), O_RDWR));
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  os::SleepUntil(os::NowNs() + kSecondNs / 20);
  EXPECT_EQ(looker.Used(), kTestMib);
}

TEST(ForkTest, AnInheritedSlotKeepsItsMemoryUntilTheLastHolderIsGone) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    EXPECT_TRUE(own.Reserve(7 * kTestMib));
    const pid_t inherited = fork();
    if (inherited == 0) Child::StayForever();
    self.SayReady(inherited);
    Child::StayForever();
  });
  const int grandchild = child.WaitReady();
  ASSERT_GT(grandchild, 0);
  child.Kill();
  EXPECT_EQ(looker.Used(), 7 * kTestMib);
  kill(grandchild, SIGKILL);
  // Not our child: nobody says when it is gone.
  const uint64_t until = os::NowNs() + 5 * kSecondNs;
  while (looker.Used() != 0 && os::NowNs() < until) os::SleepUntil(os::NowNs() + 1'000'000);
  EXPECT_EQ(looker.Used(), 0U);
}

TEST(ForkTest, TheLockOfADeadParentIsFreeThoughItsChildHoldsTheSlot) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    const pid_t inherited = fork();
    if (inherited == 0) Child::StayForever();
    Lock(own.machine());
    self.SayReady(inherited);
    Child::StayForever();
  });
  const int grandchild = child.WaitReady();
  ASSERT_GT(grandchild, 0);
  child.Kill();
  ExpectLockIsFree(looker);
  EXPECT_EQ(looker.state().repairs, 1U);
  kill(grandchild, SIGKILL);
}

TEST(ForkTest, AForkedChildLocksForItself) {
  const FakeMachine fake;
  const AttachedMachine own(fake);
  Child child([&](Child& self) {
    Lock(own.machine());
    self.SayReady();
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  child.Kill();
  ExpectLockIsFree(own);
  EXPECT_EQ(own.state().repairs, 1U);
}

// What a tenant does all day, as fast as it can.
void Work(const FakeMachine& fake, uint32_t seed) {
  std::minstd_rand random(seed);
  while (true) {
    const AttachedMachine own(fake);
    for (int round = 0; round < 200; ++round) {
      const uint64_t bytes = (1 + random() % 400) * kTestMib;
      const uint32_t device = random() % 2;
      const bool reserved = own.Reserve(bytes, device);
      int context = -1;
      {
        const LockGuard guard(own.machine());
        context = OpenContext(own.machine(), own.state(), device);
        for (int i = 0; i < 5 && context >= 0; ++i) {
          WorkItem item = {};
          item.kind = WorkKind::kKernel;
          item.remaining_ns = random() % 20'000;
          item.demand_q16 = 65536;
          Submit(own.state(), static_cast<uint32_t>(context), random() % kLanes, item, os::NowNs());
        }
        AdvanceAll(own.state(), os::NowNs());
      }
      if (reserved) own.Release(bytes, device);
      if (context >= 0) {
        const LockGuard guard(own.machine());
        CloseContext(own.state(), static_cast<uint32_t>(context));
      }
    }
  }
}

TEST(SurvivalTest, KilledAtRandomMoments) {
  constexpr size_t kWorkers = 4;
  const char* soak = getenv("HAMI_SOAK_SECONDS");
  const uint64_t seconds = soak == nullptr ? 3 : strtoull(soak, nullptr, 10);
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::minstd_rand random(seed);
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  const auto start = [&] {
    const uint32_t own_seed = random();
    return std::make_unique<Child>([&, own_seed](Child&) { Work(fake, own_seed); });
  };
  std::vector<std::unique_ptr<Child>> workers;
  for (size_t i = 0; i < kWorkers; ++i) workers.push_back(start());
  const uint64_t until = os::NowNs() + seconds * kSecondNs;
  int killed = 0;
  while (os::NowNs() < until && !HasFailure()) {
    os::SleepUntil(os::NowNs() + random() % 3'000'000);
    auto& victim = workers[random() % kWorkers];
    victim->Kill();
    ++killed;
    ExpectLockIsFree(looker);
    ExpectConsistent(looker);
    victim = start();
  }
  for (auto& worker : workers) worker->Kill();
  EXPECT_EQ(looker.Used(0), 0U);
  EXPECT_EQ(looker.Used(1), 0U);
  ExpectConsistent(looker);
  RecordProperty("killed", killed);
  RecordProperty("repairs", static_cast<int>(looker.state().repairs));
  printf("killed %d, locks taken over %llu\n", killed,
         static_cast<unsigned long long>(looker.state().repairs));
}

}  // namespace
}  // namespace hami::simgpu
