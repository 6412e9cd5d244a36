// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/faults.h"

#include <gtest/gtest.h>

#include <vector>

#include "simgpu/state/fake_machine.h"
#include "simgpu/state/lock.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

class FaultsTest : public testing::Test {
 protected:
  State& state() { return attached_.state(); }
  const Machine& machine() { return attached_.machine(); }
  bool FaultsOn() { return __atomic_load_n(&state().faults_on, __ATOMIC_ACQUIRE) != 0; }

  template <typename Function>
  void Locked(Function function) {
    const LockGuard guard(machine());
    function();
  }

  std::vector<uint64_t> DataFrom(uint64_t from) {
    std::vector<uint64_t> data;
    DeviceEvent event = {};
    uint32_t bell = 0;
    const auto all = [](uint64_t, const DeviceEvent&) { return true; };
    while (FindEvent(machine(), &from, &event, &bell, all)) data.push_back(event.data);
    return data;
  }

  FakeMachine fake_;
  AttachedMachine attached_{fake_};
};

TEST_F(FaultsTest, AMachineHasNone) {
  EXPECT_FALSE(FaultsOn());
  EXPECT_FALSE(MeetFaults(machine(), 0).lost);
  EXPECT_FALSE(IsDriverOff(machine()));
  EXPECT_TRUE(DataFrom(0).empty());
}

TEST_F(FaultsTest, ALostDeviceIsLostAlone) {
  Locked([&] { LoseDevice(state(), 1); });
  EXPECT_TRUE(MeetFaults(machine(), 1).lost);
  EXPECT_FALSE(MeetFaults(machine(), 0).lost);
  EXPECT_EQ(DataFrom(0), std::vector<uint64_t>{kXidOffTheBus});
  Locked([&] { LoseDevice(state(), 1); });
  EXPECT_EQ(DataFrom(0).size(), 1U) << "it was lost already";
  Locked([&] { ClearDeviceFaults(state(), 1); });
  EXPECT_FALSE(MeetFaults(machine(), 1).lost);
  EXPECT_FALSE(FaultsOn());
}

TEST_F(FaultsTest, OneClearedFaultLeavesTheOthers) {
  Locked([&] {
    SlowDown(state(), 0, 5'000'000);
    LoseDevice(state(), 1);
    TurnDriverOff(state());
    ClearDeviceFaults(state(), 1);
  });
  EXPECT_TRUE(MeetFaults(machine(), 1).lost) << "the driver is off";
  Locked([&] { TurnDriverOn(state()); });
  EXPECT_FALSE(MeetFaults(machine(), 1).lost);
  EXPECT_EQ(MeetFaults(machine(), 0).slow_ns, 5'000'000U);
  Locked([&] { SlowDown(state(), 0, 0); });
  EXPECT_FALSE(FaultsOn());
}

TEST_F(FaultsTest, SoManyRequestsFailAsWereAsked) {
  Locked([&] { FailRequests(state(), 0, 2); });
  EXPECT_FALSE(attached_.Reserve(kTestMib));
  EXPECT_TRUE(attached_.Reserve(kTestMib, 1)) << "of another device";
  EXPECT_FALSE(attached_.Reserve(kTestMib));
  EXPECT_TRUE(attached_.Reserve(kTestMib));
  EXPECT_EQ(attached_.Used(), kTestMib);
}

TEST_F(FaultsTest, OldEventsMakeRoomForNewOnes) {
  Locked([&] {
    for (uint64_t i = 0; i < kDeviceEvents + 10; ++i) RaiseEvent(state(), 0, kEventXid, i);
  });
  const std::vector<uint64_t> data = DataFrom(0);
  ASSERT_EQ(data.size(), kDeviceEvents);
  EXPECT_EQ(data.front(), 10U);
  EXPECT_EQ(data.back(), kDeviceEvents + 9);
  EXPECT_EQ(DataFrom(kDeviceEvents + 9).size(), 1U);
}

TEST_F(FaultsTest, AnEventEndsAWait) {
  Child child([&](Child& self) {
    const AttachedMachine own(fake_);
    uint64_t from = 0;
    DeviceEvent event = {};
    uint32_t bell = 0;
    const auto xid = [](uint64_t, const DeviceEvent& seen) { return seen.type == kEventXid; };
    self.SayReady();
    while (!FindEvent(own.machine(), &from, &event, &bell, xid)) {
      os::FutexWait(&own.state().event_bell, bell, 60'000'000'000);
    }
    EXPECT_EQ(event.data, 31U);
  });
  ASSERT_EQ(child.WaitReady(), 0);
  Locked([&] {
    AddEccErrors(state(), 1, 1, 0);
    RaiseEvent(state(), 1, kEventXid, 31);
  });
  EXPECT_EQ(child.Wait(), 0);
}

// Whoever dies between the parts of a fault leaves the state as before or after it.
TEST_F(FaultsTest, FaultsOutliveWhoAskedForThem) {
  Child child([&](Child&) {
    const AttachedMachine own(fake_);
    Lock(own.machine());
    LoseDevice(own.state(), 0);
    _exit(0);  // with the lock
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(MeetFaults(machine(), 0).lost);
  EXPECT_EQ(DataFrom(0).size(), 1U);
}

}  // namespace
}  // namespace hami::simgpu
