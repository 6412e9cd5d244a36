// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "simgpu/state/fake_machine.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

TEST(CreateStateTest, MakesAFileForEverybodyAndOnlyOnce) {
  const mode_t before = umask(077);
  const FakeMachine fake;
  umask(before);
  struct stat info = {};
  ASSERT_EQ(stat(fake.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0666U);
  EXPECT_LT(info.st_blocks * 512, 16 << 20) << "not sparse";
  const auto config = std::make_unique<MachineConfig>();
  EXPECT_EQ(CreateState(fake.path().c_str(), *config), EEXIST);
}

TEST(CreateStateTest, RefusesMoreThanThereIsRoomFor) {
  const FakeMachine fake;
  const std::string path = fake.folder() + "/other";
  auto config = std::make_unique<MachineConfig>();
  config->device_count = kMaxDevices + 1;
  EXPECT_EQ(CreateState(path.c_str(), *config), EINVAL);
  config->device_count = 1;
  config->kernel_rule_count = kMaxKernelRules + 1;
  EXPECT_EQ(CreateState(path.c_str(), *config), EINVAL);
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(FindStateTest, EnvironmentFirstThenBesideTheLibraryThenTheSystem) {
  char path[kMaxStatePath];
  setenv("HAMI_SIM", "/some/folder", 1);
  ASSERT_TRUE(FindState(nullptr, path));
  EXPECT_STREQ(path, "/some/folder/state");
  setenv("HAMI_SIM", std::string(kMaxStatePath, 'x').c_str(), 1);
  EXPECT_FALSE(FindState(nullptr, path));
  unsetenv("HAMI_SIM");
  // This program's folder has no state beside it.
  ASSERT_TRUE(FindState(reinterpret_cast<const void*>(&FindState), path));
  EXPECT_STREQ(path, "/run/hami/sim/default/state");
}

TEST(AttachTest, SaysWhatIsWrong) {
  const FakeMachine fake;
  Machine machine;
  EXPECT_EQ(Attach("/nowhere/state", false, &machine), AttachStatus::kNoState);
  const std::string other = fake.folder() + "/other";
  std::ofstream(other) << "short";
  EXPECT_EQ(Attach(other.c_str(), false, &machine), AttachStatus::kWrongState);
  ASSERT_EQ(truncate(other.c_str(), sizeof(State)), 0);
  EXPECT_EQ(Attach(other.c_str(), false, &machine), AttachStatus::kWrongState);
  EXPECT_EQ(machine.state, nullptr);
  unlink(other.c_str());
}

TEST(AttachTest, EveryAttachmentHasASlotAndGivesItBack) {
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  EXPECT_EQ(looker.client().observer, 1U);
  uint32_t slot = 0;
  {
    const AttachedMachine user(fake);
    slot = user.machine().client;
    EXPECT_NE(slot, looker.machine().client);
    EXPECT_EQ(user.client().in_use, 1U);
    EXPECT_EQ(user.client().observer, 0U);
    EXPECT_EQ(user.client().pid, getpid());
    EXPECT_EQ(user.client().host_pid, os::OuterProcessId());
    EXPECT_TRUE(user.Reserve(kTestMib));
  }
  EXPECT_EQ(looker.state().clients[slot].in_use, 0U);
  EXPECT_EQ(looker.state().devices[0].used_bytes, 0U);
  const AttachedMachine next(fake);
  EXPECT_EQ(next.machine().client, slot);
}

TEST(AttachTest, AStateOfAnEarlierBootGetsThisBootsClock) {
  const FakeMachine fake;
  const uint64_t future = os::NowNs() + 1'000'000'000'000;
  {
    const AttachedMachine looker(fake, true);
    looker.state().created_ns = future;
    looker.state().devices[1].now_ns = future;
  }
  const AttachedMachine looker(fake, true);
  EXPECT_LE(looker.state().created_ns, os::NowNs());
  EXPECT_LE(looker.state().devices[1].now_ns, os::NowNs());
}

TEST(LockTest, ThreadsAndProcessesExcludeEachOther) {
  constexpr uint64_t kRounds = 20'000;
  const FakeMachine fake;
  const AttachedMachine looker(fake, true);
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(std::make_unique<Child>([&](Child&) {
      const AttachedMachine own(fake);
      const auto count = [&] {
        for (uint64_t round = 0; round < kRounds; ++round) {
          const LockGuard guard(own.machine());
          ++own.state().devices[0].switches;
        }
      };
      std::thread other(count);
      count();
      other.join();
    }));
  }
  for (auto& child : children) EXPECT_EQ(child->Wait(), 0);
  EXPECT_EQ(looker.state().devices[0].switches, 4 * kRounds);
  EXPECT_EQ(looker.state().repairs, 0U);
}

TEST(MemoryTest, ProcessesShareADevice) {
  const FakeMachine fake;
  const AttachedMachine parent(fake);
  ASSERT_TRUE(parent.Reserve(300 * kTestMib));
  Child child([&](Child& self) {
    const AttachedMachine own(fake);
    EXPECT_FALSE(own.Reserve(701 * kTestMib));
    EXPECT_TRUE(own.Reserve(600 * kTestMib));
    EXPECT_TRUE(own.Reserve(kTestUsableBytes, 1));
    self.SayReady(static_cast<int>(own.machine().client));
    Child::StayForever();
  });
  const int slot = child.WaitReady();
  ASSERT_GE(slot, 0);
  EXPECT_EQ(parent.Used(0), 900 * kTestMib);
  EXPECT_EQ(parent.Used(1), kTestUsableBytes);
  EXPECT_EQ(parent.state().clients[slot].devices[0].used_bytes, 600 * kTestMib);
  EXPECT_FALSE(parent.Reserve(101 * kTestMib));
  EXPECT_TRUE(parent.Reserve(100 * kTestMib));
  EXPECT_FALSE(parent.Reserve(1));
  parent.Release(100 * kTestMib);
  EXPECT_EQ(parent.client().devices[0].used_bytes, 300 * kTestMib);
  child.Kill();
  // Nobody has reaped yet: who needs room does.
  EXPECT_TRUE(parent.Reserve(700 * kTestMib));
  EXPECT_TRUE(parent.Reserve(kTestUsableBytes, 1));
}

TEST(MemoryTest, AnImpossibleSizeIsRefused) {
  const FakeMachine fake;
  const AttachedMachine user(fake);
  EXPECT_FALSE(user.Reserve(UINT64_MAX));
  EXPECT_FALSE(user.Reserve(kTestUsableBytes + 1));
  EXPECT_TRUE(user.Reserve(0));
  EXPECT_EQ(user.Used(), 0U);
}

TEST(ContextTest, SlotsRunOutAndComeBack) {
  const FakeMachine fake;
  const AttachedMachine user(fake);
  const LockGuard guard(user.machine());
  std::vector<int> contexts;
  for (uint32_t i = 0; i < kMaxContexts; ++i) {
    contexts.push_back(OpenContext(user.machine(), user.state(), i % 2));
    ASSERT_GE(contexts.back(), 0);
  }
  EXPECT_EQ(OpenContext(user.machine(), user.state(), 0), -1);
  EXPECT_EQ(user.client().devices[1].contexts, kMaxContexts / 2);
  const auto some = static_cast<uint32_t>(contexts[7]);
  const uint32_t generation = user.state().contexts[some].generation;
  CloseContext(user.state(), some);
  EXPECT_EQ(user.client().devices[1].contexts, kMaxContexts / 2 - 1);
  EXPECT_EQ(OpenContext(user.machine(), user.state(), 0), contexts[7]);
  EXPECT_NE(user.state().contexts[some].generation, generation);
}

TEST(EventSlotTest, SlotsRunOutAndComeBackWithAnotherRecord) {
  const FakeMachine fake;
  const AttachedMachine user(fake);
  const LockGuard guard(user.machine());
  for (uint32_t i = 0; i < kMaxEventSlots; ++i) {
    ASSERT_GE(OpenEventSlot(user.machine(), user.state()), 0);
  }
  EXPECT_EQ(OpenEventSlot(user.machine(), user.state()), -1);
  const uint32_t record = user.state().events[77].record;
  CloseEventSlot(user.state(), 77);
  EXPECT_NE(user.state().events[77].record, record);
  EXPECT_EQ(OpenEventSlot(user.machine(), user.state()), 77);
}

}  // namespace
}  // namespace hami::simgpu
