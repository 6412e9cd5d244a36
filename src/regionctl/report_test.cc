// SPDX-License-Identifier: Apache-2.0

#include "regionctl/report.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>

#include "api/region/region.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "region/ledger.h"
#include "region/mapping.h"
#include "share/fake_tenant.h"
#include "share/region_file.h"

namespace hami::regionctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr char kUuid[] = "GPU-00000000-0000-0000-0000-000000000001";

class RegionReportTest : public ::testing::Test {
 protected:
  void Create() const { ASSERT_TRUE(share::RegionFile::Create(path_)); }

  // A process of the share that holds 3 GiB and sleeps.
  pid_t StartTenant() {
    const pid_t tenant = share::StartFakeTenant(path_);
    tenants_.push_back(tenant);
    Change([](api::Region* region) {
      region->v1.device_count = 1;
      strcpy(region->v1.uuids[0], kUuid);
      region->v1.limit_bytes[0] = 4 * kGib;
    });
    return tenant;
  }
  void EndTenants() {
    for (const pid_t tenant : tenants_) {
      kill(tenant, SIGKILL);
      waitpid(tenant, nullptr, 0);
    }
    tenants_.clear();
  }
  void TearDown() override { EndTenants(); }

  // What a stranger writes.
  void Change(const std::function<void(api::Region*)>& change) const {
    region::Mapping mapping;
    ASSERT_EQ(region::Attach(path_.c_str(), false, nullptr, &mapping), region::AttachError::kNone);
    change(mapping.region);
  }

  RegionReport Read() const {
    Result<RegionReport> report = ReadRegion(path_);
    EXPECT_TRUE(report) << report.error().message;
    return report ? *report : RegionReport();
  }
  std::vector<std::string> Problems() const {
    std::vector<std::string> texts;
    for (const Problem& problem : Read().problems) texts.push_back(problem.text);
    return texts;
  }
  void Repair() const {
    Result<share::RegionFile> file = share::RegionFile::Open(path_);
    ASSERT_TRUE(file);
    const Status repaired = file->Repair();
    EXPECT_TRUE(repaired) << repaired.error().message;
  }

  base::TemporaryFolder folder_;
  const std::string path_ = folder_ / "region";
  std::vector<pid_t> tenants_;
};

TEST_F(RegionReportTest, ANewRegionIsSound) {
  Create();
  const RegionReport report = Read();
  EXPECT_TRUE(report.extended);
  EXPECT_EQ(report.utilization_switch, 1);
  EXPECT_EQ(report.recent_kernel, 2);
  EXPECT_THAT(report.devices, IsEmpty());
  EXPECT_THAT(report.processes, IsEmpty());
  EXPECT_THAT(report.problems, IsEmpty());
}

TEST_F(RegionReportTest, AProcessAndWhatItHolds) {
  Create();
  const pid_t tenant = StartTenant();
  const RegionReport report = Read();
  ASSERT_THAT(report.devices, SizeIs(1));
  EXPECT_EQ(report.devices[0].uuid, kUuid);
  EXPECT_EQ(report.devices[0].limit_bytes, 4 * kGib);
  EXPECT_EQ(report.devices[0].used_bytes, 3 * kGib);
  ASSERT_THAT(report.processes, SizeIs(1));
  EXPECT_EQ(report.processes[0].pid, tenant);
  EXPECT_EQ(report.processes[0].alive, true);
  EXPECT_THAT(report.processes[0].used_bytes, ElementsAre(3 * kGib));
  EXPECT_THAT(report.problems, IsEmpty());
}

TEST_F(RegionReportTest, ADeadProcessIsAProblemUntilItIsRepaired) {
  Create();
  const pid_t tenant = StartTenant();
  StartTenant();
  kill(tenant, SIGKILL);
  waitpid(tenant, nullptr, 0);
  tenants_.erase(tenants_.begin());
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("has ended, and 3.0 GiB are still counted")));
  Repair();
  const RegionReport report = Read();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_THAT(report.processes, SizeIs(1)) << "the other one lives";
}

TEST_F(RegionReportTest, WhatStrangersWriteIsRepaired) {
  const std::pair<std::function<void(api::Region*)>, std::string> cases[] = {
      {[](api::Region* region) { region->ext.devices[0].total = region::ChargeUnits(kGib); },
       "1.0 GiB are counted, its processes hold 3.0 GiB"},
      {[](api::Region* region) { region->ext.slot_used[0] = 0; }, "not marked so"},
      {[](api::Region* region) { region->ext.slots_ever_used = 0; }, "readers stop before it"},
      {[](api::Region* region) { region->v1.process_count = 0; }, "readers stop before it"},
      {[](api::Region* region) { region->v1.process_count = -5; }, "-5 processes"},
      {[](api::Region* region) { region->v1.process_count = 5000; }, "5000 processes"},
      {[](api::Region* region) { region->ext.slots[700].charge[0] = region::ChargeUnits(kGib); },
       "slot 700 is free, and 1.0 GiB are counted for it"},
  };
  for (const auto& [change, text] : cases) {
    SCOPED_TRACE(text);
    unlink(path_.c_str());
    Create();
    StartTenant();
    Change(change);
    const std::vector<std::string> problems = Problems();
    EXPECT_THAT(problems, ::testing::Contains(HasSubstr(text)));
    for (const Problem& problem : Read().problems) EXPECT_TRUE(problem.repairable);
    Repair();
    EXPECT_THAT(Problems(), IsEmpty());
    EXPECT_EQ(Read().devices[0].used_bytes, 3 * kGib);
    EndTenants();
  }
}

TEST_F(RegionReportTest, NamesCannotMoveATerminalsCursor) {
  Create();
  StartTenant();
  Change([](api::Region* region) {
    memset(region->v1.uuids[0], 'a', sizeof(region->v1.uuids[0]));
    memcpy(region->v1.uuids[0], "\033[2J\n", 5);
  });
  EXPECT_EQ(Read().devices[0].uuid, "?[2J?" + std::string(api::kUuidBytes - 5, 'a'));
}

TEST_F(RegionReportTest, TooManyDevices) {
  Create();
  Change([](api::Region* region) { region->v1.device_count = UINT64_MAX; });
  const RegionReport report = Read();
  EXPECT_THAT(report.devices, IsEmpty());
  ASSERT_THAT(report.problems, SizeIs(1));
  EXPECT_FALSE(report.problems[0].repairable);
}

class HamiRegionTest : public RegionReportTest {
 protected:
  HamiRegionTest() : region_(std::make_unique<api::Region>()) {
    api::RegionV1& v1 = region_->v1;
    v1.initialized = api::kRegionMagic;
    v1.major_version = api::kRegionMajor;
    v1.minor_version = api::kRegionMinor;
    v1.device_count = 1;
    strcpy(v1.uuids[0], kUuid);
    v1.process_count = 2;
    for (int slot = 0; slot < 2; ++slot) {
      v1.processes[slot].pid = 10 + slot;
      v1.processes[slot].used[0].total_bytes = kGib;
    }
  }
  void Save() const {
    const std::string_view bytes(reinterpret_cast<const char*>(region_.get()),
                                 api::kRegionV1FileBytes);
    ASSERT_TRUE(base::WriteFileAtomically(path_, bytes, 0666));
  }

  std::unique_ptr<api::Region> region_;
};

TEST_F(HamiRegionTest, IsReadAndLeftAsItIs) {
  Save();
  const RegionReport report = Read();
  EXPECT_FALSE(report.extended);
  EXPECT_EQ(report.devices[0].used_bytes, 2 * kGib);
  ASSERT_THAT(report.processes, SizeIs(2));
  EXPECT_EQ(report.processes[1].pid, 11);
  EXPECT_FALSE(report.processes[1].alive.has_value());
  EXPECT_THAT(report.problems, IsEmpty());
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(static_cast<size_t>(info.st_size), api::kRegionV1FileBytes);
}

TEST_F(HamiRegionTest, AWriterThatDied) {
  region_->v1.processes[1].sequence = 7;
  Save();
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("slot 1: a process died while it wrote")));
}

TEST_F(HamiRegionTest, SumsDoNotWrap) {
  region_->v1.processes[0].used[0].total_bytes = UINT64_MAX;
  Save();
  EXPECT_EQ(Read().devices[0].used_bytes, UINT64_MAX);
}

TEST_F(HamiRegionTest, WhatIsNoRegion) {
  EXPECT_EQ(ReadRegion(path_).error().code, Code::kNotFound);
  EXPECT_EQ(ReadRegion(folder_.path()).error().code, Code::kDataLoss);
  ASSERT_TRUE(base::WriteFileAtomically(path_, "", 0666));
  EXPECT_THAT(ReadRegion(path_).error().message, HasSubstr("is no region"));
  region_->v1.minor_version = 9;
  Save();
  EXPECT_THAT(ReadRegion(path_).error().message, HasSubstr("version 1.9, known here is 1.2"));
  region_->v1.minor_version = api::kRegionMinor;
  Save();
  ASSERT_EQ(truncate(path_.c_str(), 4096), 0);
  EXPECT_THAT(ReadRegion(path_).error().message, HasSubstr("it was cut"));
}

// Whatever a tenant writes, reading ends, and repairing ends with a sound region or says that it
// cannot.
TEST_F(RegionReportTest, AnyBytes) {
  Create();
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE(round);
    unlink(path_.c_str());
    Create();
    const int fd = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    // Not the first number of each part, so that it is still taken for a region.
    for (int i = 0; i < 64; ++i) {
      const bool in_header = random() % 2 == 0;
      const auto offset = static_cast<off_t>(
          in_header ? 12 + random() % 1844 : api::kExtensionOffset + 16 + random() % 532000);
      const auto value = static_cast<uint64_t>(random()) << (random() % 33);
      ASSERT_EQ(pwrite(fd, &value, sizeof(value), offset), ssize_t{sizeof(value)});
    }
    close(fd);
    ASSERT_TRUE(ReadRegion(path_));
    Result<share::RegionFile> file = share::RegionFile::Open(path_);
    ASSERT_TRUE(file);
    if (!file->Repair()) continue;
    for (const Problem& problem : Read().problems) EXPECT_FALSE(problem.repairable) << problem.text;
  }
}

}  // namespace
}  // namespace hami::regionctl
