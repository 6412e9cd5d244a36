// SPDX-License-Identifier: Apache-2.0

#include "share/region_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/temporary_folder.h"
#include "region/ledger.h"
#include "region/mapping.h"
#include "region/os.h"
#include "share/fake_tenant.h"

namespace hami::share {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;

class RegionFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(RegionFile::Create(path_));
    Result<RegionFile> file = RegionFile::Open(path_);
    ASSERT_TRUE(file);
    file_.emplace(std::move(*file));
  }
  base::TemporaryFolder folder_;
  const std::string path_ = folder_ / "region";
  std::optional<RegionFile> file_;
};

TEST_F(RegionFileTest, ANewRegionHasNoSlots) {
  const Result<std::vector<SlotView>> slots = file_->ReadSlots();
  ASSERT_TRUE(slots);
  EXPECT_TRUE(slots->empty());
  const Result<DeviceView> device = file_->ReadDevice(0);
  ASSERT_TRUE(device);
  EXPECT_EQ(device->charged_bytes, 0U);
}

TEST_F(RegionFileTest, ATenantWithoutPrivilegesMayWriteIt) {
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666U);
}

TEST_F(RegionFileTest, ASlotIsSeenAliveThenDeadThenReaped) {
  const pid_t tenant = StartFakeTenant(path_);
  Result<std::vector<SlotView>> slots = file_->ReadSlots();
  ASSERT_TRUE(slots);
  ASSERT_EQ(slots->size(), 1U);
  EXPECT_TRUE((*slots)[0].alive);
  EXPECT_EQ((*slots)[0].pid, tenant);
  EXPECT_EQ((*slots)[0].charged_bytes[0], 3 * kGib);
  EXPECT_EQ((*slots)[0].charged_bytes[1], 0U);
  EXPECT_EQ(file_->ReadDevice(0)->charged_bytes, 3 * kGib);

  ASSERT_TRUE(file_->ReapDeadSlots());
  EXPECT_EQ(file_->ReadSlots()->size(), 1U) << "a live slot was reaped";

  kill(tenant, SIGKILL);
  ASSERT_EQ(waitpid(tenant, nullptr, 0), tenant);
  slots = file_->ReadSlots();
  ASSERT_EQ(slots->size(), 1U);
  EXPECT_FALSE((*slots)[0].alive);
  ASSERT_TRUE(file_->ReapDeadSlots());
  EXPECT_TRUE(file_->ReadSlots()->empty());
  EXPECT_EQ(file_->ReadDevice(0)->charged_bytes, 0U);
}

// A tenant's slot claims to be of an epoch that no recount will reach, and its device to be
// counted.
TEST_F(RegionFileTest, WordsOfNoEpochAreCountedAgain) {
  const pid_t living = StartFakeTenant(path_);
  const pid_t dead = StartFakeTenant(path_);
  kill(dead, SIGKILL);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  region::Mapping mapping;
  ASSERT_EQ(region::Attach(path_.c_str(), false, nullptr, &mapping), region::AttachError::kNone);
  constexpr uint64_t kFarEpoch = 4'000'000;
  mapping.region->ext.slots[0].charge[0] = region::MakeWord(kFarEpoch, region::ChargeUnits(kGib));
  mapping.region->ext.slots[1].charge[0] = region::ChargeUnits(kGib);
  mapping.region->ext.devices[0].total = region::kRecountBit;
  ASSERT_TRUE(file_->ReapDeadSlots());
  EXPECT_EQ(file_->ReadSlots()->size(), 1U);
  EXPECT_EQ(file_->ReadDevice(0)->charged_bytes, kGib);
  kill(living, SIGKILL);
  ASSERT_EQ(waitpid(living, nullptr, 0), living);
  EXPECT_TRUE(file_->Repair());
  EXPECT_TRUE(file_->ReadSlots()->empty());
  EXPECT_EQ(file_->ReadDevice(0)->charged_bytes, 0U);
}

// A process of the tenant has the region look half made, and never lets go of the lock under which
// one is made.
TEST_F(RegionFileTest, ARegionThatNeverSettlesKeepsNobody) {
  const pid_t dead = StartFakeTenant(path_);
  kill(dead, SIGKILL);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  region::Mapping mapping;
  ASSERT_EQ(region::Attach(path_.c_str(), false, nullptr, &mapping), region::AttachError::kNone);
  const int lock = region::ReopenFile(mapping);
  ASSERT_EQ(os::TryLock(lock, api::kInitLockOffset), os::LockResult::kLocked);
  mapping.region->v1.initialized = 0;
  const Status reaped = file_->ReapDeadSlots();
  ASSERT_FALSE(reaped);
  EXPECT_EQ(reaped.error().code, Code::kDataLoss);
  EXPECT_NE(reaped.error().message.find("never settle"), std::string::npos);
  os::Close(lock);
  EXPECT_TRUE(file_->ReapDeadSlots());
  EXPECT_TRUE(file_->ReadSlots()->empty());
}

TEST_F(RegionFileTest, WhatTheAgentWritesIsWhereTheTenantReads) {
  region::Mapping mapping;
  ASSERT_EQ(region::Attach(path_.c_str(), false, nullptr, &mapping), region::AttachError::kNone);
  ASSERT_TRUE(file_->WriteDriverBytes(9, 3, 12345));
  ASSERT_TRUE(file_->WriteCostScale(3, 98304));
  ASSERT_TRUE(file_->WriteNeighbourBusy(3, 42));
  EXPECT_EQ(mapping.region->ext.slots[9].driver_bytes[3], 12345U);
  EXPECT_EQ(mapping.region->ext.devices[3].cost_scale_q16, 98304U);
  EXPECT_EQ(mapping.region->ext.devices[3].neighbour_busy_pct, 1U + 42U);
  mapping.region->ext.devices[3].throttled_ns = 7;
  mapping.region->ext.devices[3].refused = 8;
  const Result<DeviceView> device = file_->ReadDevice(3);
  ASSERT_TRUE(device);
  EXPECT_EQ(device->throttled_ns, 7U);
  EXPECT_EQ(device->refused, 8U);
}

TEST_F(RegionFileTest, AFileCutShortIsAnErrorNotASignal) {
  const pid_t tenant = StartFakeTenant(path_);
  ASSERT_EQ(truncate(path_.c_str(), 4096), 0);
  EXPECT_EQ(file_->ReadDevice(0).error().code, Code::kDataLoss);
  EXPECT_EQ(file_->ReadSlots().error().code, Code::kDataLoss);
  // The library may refuse or repair it; either way we live.
  (void)file_->ReapDeadSlots();
  kill(tenant, SIGKILL);
  ASSERT_EQ(waitpid(tenant, nullptr, 0), tenant);
}

TEST_F(RegionFileTest, AFileCutShortGetsItsLengthBack) {
  const pid_t tenant = StartFakeTenant(path_);
  region::Mapping mapping;
  ASSERT_EQ(region::Attach(path_.c_str(), false, nullptr, &mapping), region::AttachError::kNone);
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  ASSERT_TRUE(file_->RestoreLength());
  ASSERT_TRUE(file_->RestoreLength());
  // Whoever has it mapped reads that nothing is counted, and may go on writing.
  EXPECT_EQ(mapping.region->ext.devices[0].total, 0U);
  region::Release(mapping.region->ext, 0, 0, 1);
  EXPECT_FALSE(region::Reserve(mapping.region->ext, 0, 0, 2, 1));
  EXPECT_TRUE(region::Reserve(mapping.region->ext, 0, 0, 1, 1));
  EXPECT_TRUE(file_->ReadSlots()->empty());
  // The next process makes a region of it.
  region::Mapping next;
  const region::Identity identity = region::ReadIdentity();
  ASSERT_EQ(region::Attach(path_.c_str(), false, &identity, &next), region::AttachError::kNone);
  EXPECT_EQ(next.slot, 1) << "the tenant's slot is still locked";
  kill(tenant, SIGKILL);
  ASSERT_EQ(waitpid(tenant, nullptr, 0), tenant);
}

TEST(RegionFileOpenTest, NoFileIsNotFound) {
  EXPECT_EQ(RegionFile::Open("/no/such/region").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace hami::share
