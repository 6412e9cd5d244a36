// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/shared_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

#include "simgpu/state/fake_machine.h"
#include "simgpu/state/lock.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

constexpr uint64_t kBytes = 10 * kTestMib;

class SharedMemoryTest : public testing::Test {
 protected:
  // Memory of the maker, shared by it.
  int MakeShared() const {
    EXPECT_TRUE(maker_->Reserve(kBytes));
    const LockGuard guard(maker_->machine());
    return ShareMemory(maker_->machine(), maker_->state(), 0, kBytes);
  }
  static uint64_t Held(const AttachedMachine& client) {
    return HeldBytes(client.state(), client.machine().client, 0);
  }
  static bool Hold(const AttachedMachine& client, int index, uint32_t generation) {
    const LockGuard guard(client.machine());
    return HoldShared(client.machine(), client.state(), static_cast<uint32_t>(index), generation);
  }
  static void Leave(const AttachedMachine& client, int index) {
    const LockGuard guard(client.machine());
    LeaveShared(client.machine(), client.state(), static_cast<uint32_t>(index));
  }
  uint32_t Generation(int index) const { return looker_.state().shared[index].generation; }

  FakeMachine fake_;
  AttachedMachine looker_{fake_, true};
  std::unique_ptr<AttachedMachine> maker_ = std::make_unique<AttachedMachine>(fake_);
  AttachedMachine user_{fake_};
};

TEST_F(SharedMemoryTest, CountsOnceAndIsItsMakers) {
  const int index = MakeShared();
  ASSERT_GE(index, 0);
  EXPECT_TRUE(Hold(user_, index, Generation(index)));
  EXPECT_EQ(looker_.Used(), kBytes);
  EXPECT_EQ(Held(*maker_), kBytes);
  EXPECT_EQ(Held(user_), 0U);
}

TEST_F(SharedMemoryTest, GoesToWhoeverHoldsItWhenItsMakerEnds) {
  const int index = MakeShared();
  ASSERT_TRUE(Hold(user_, index, Generation(index)));
  maker_.reset();
  EXPECT_EQ(looker_.Used(), kBytes);
  EXPECT_EQ(Held(user_), kBytes);
  Leave(user_, index);
  EXPECT_EQ(looker_.Used(), 0U);
  EXPECT_FALSE(Hold(user_, index, Generation(index)));
}

TEST_F(SharedMemoryTest, AnotherGenerationIsOtherMemory) {
  const int index = MakeShared();
  const uint32_t generation = Generation(index);
  EXPECT_FALSE(Hold(user_, index, generation + 1));
  Leave(*maker_, index);
  EXPECT_EQ(MakeShared(), index);
  EXPECT_FALSE(Hold(user_, index, generation));
}

TEST_F(SharedMemoryTest, ADescriptorHoldsItWithoutAProcess) {
  const int index = MakeShared();
  const int fd = os::OpenReadWrite(fake_.path().c_str());
  ASSERT_TRUE(os::TryLockWithOthers(fd, kSharedLockOffset + index));
  maker_.reset();
  EXPECT_EQ(looker_.Used(), kBytes);
  EXPECT_EQ(Held(user_), 0U);
  EXPECT_TRUE(Hold(user_, index, Generation(index)));
  EXPECT_EQ(Held(user_), kBytes);
  Leave(user_, index);
  EXPECT_EQ(looker_.Used(), kBytes);
  close(fd);
  EXPECT_EQ(looker_.Used(), 0U);
}

TEST_F(SharedMemoryTest, IsPartOfARepairedTotal) {
  MakeShared();
  EXPECT_TRUE(user_.Reserve(kTestMib));
  const LockGuard guard(looker_.machine());
  looker_.state().devices[0].used_bytes = 5;
  Repair(looker_.state());
  EXPECT_EQ(looker_.state().devices[0].used_bytes, kBytes + kTestMib);
}

TEST_F(SharedMemoryTest, HasAnEnd) {
  for (uint32_t i = 0; i < kMaxShared; ++i) {
    const LockGuard guard(maker_->machine());
    ASSERT_EQ(ShareMemory(maker_->machine(), maker_->state(), 0, 0), static_cast<int>(i));
  }
  const LockGuard guard(maker_->machine());
  EXPECT_EQ(ShareMemory(maker_->machine(), maker_->state(), 0, 0), -1);
}

}  // namespace
}  // namespace hami::simgpu
