// SPDX-License-Identifier: Apache-2.0

#include "top/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <random>

#include "api/region/region.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "region/mapping.h"
#include "share/fake_tenant.h"
#include "share/limits_text.h"
#include "share/region_file.h"
#include "top/json_report.h"
#include "top/text.h"

namespace hami::top {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr char kUuid[] = "GPU-00000000-0000-0000-0000-000000000001";

class TopSlicesTest : public ::testing::Test {
 protected:
  TopSlicesTest() : share_{Kind::kRun, "train", folder_.path(), folder_ / "region"} {}
  void TearDown() override {
    if (tenant_ <= 0) return;
    kill(tenant_, SIGKILL);
    waitpid(tenant_, nullptr, 0);
  }

  void Make(const std::string& policy = "default") const {
    ASSERT_TRUE(share::RegionFile::Create(share_.region));
    WriteLimits(share::WriteLimits(
        {.device_uuid = kUuid, .memory_bytes = 4 * kGib, .cores_pct = 30, .policy = policy}));
  }
  void WriteLimits(const std::string& text) const {
    ASSERT_TRUE(base::WriteFileAtomically(folder_ / "limits", text, 0644));
  }
  // What a stranger writes.
  void Change(const std::function<void(api::Region*)>& change) const {
    region::Mapping mapping;
    ASSERT_EQ(region::Attach(share_.region.c_str(), false, nullptr, &mapping),
              region::AttachError::kNone);
    change(mapping.region);
  }
  Slice ReadOne(const std::optional<RunNote>& note = std::nullopt) const {
    std::vector<Slice> slices = ReadSlices(share_, note);
    EXPECT_THAT(slices, SizeIs(1));
    return slices.empty() ? Slice() : slices[0];
  }

  base::TemporaryFolder folder_;
  Share share_;
  pid_t tenant_ = -1;
};

TEST_F(TopSlicesTest, BeforeTheFirstProgram) {
  Make();
  const Slice slice = ReadOne(RunNote{.device_name = "A10", .device_index = 1, .degraded = true});
  EXPECT_EQ(slice.device_uuid, kUuid);
  EXPECT_EQ(slice.device_index, 1);
  EXPECT_EQ(slice.rung, "preload");
  EXPECT_TRUE(slice.counted && slice.cores_enforced && slice.degraded);
  EXPECT_EQ(slice.memory_limit_bytes, 4 * kGib);
  EXPECT_EQ(slice.cores_limit_pct, 30U);
  EXPECT_EQ(slice.refused, 0U);
  EXPECT_THAT(slice.processes, IsEmpty());
}

TEST_F(TopSlicesTest, WhatAProcessHolds) {
  Make();
  tenant_ = share::StartFakeTenant(share_.region);
  Change([&](api::Region* region) {
    region->v1.device_count = 1;
    region->v1.processes[0].host_pid = tenant_;
    // Limits that the tenant has written are not looked at.
    region->v1.limit_bytes[0] = 1;
    strcpy(region->v1.uuids[0], "GPU-forged");
    region->ext.devices[0].throttled_ns = 5;
    region->ext.devices[0].refused = 7;
  });
  Slice slice = ReadOne();
  EXPECT_EQ(slice.device_uuid, kUuid);
  EXPECT_EQ(slice.memory_limit_bytes, 4 * kGib);
  EXPECT_EQ(slice.used_bytes, 3 * kGib);
  EXPECT_EQ(slice.throttled_ns, 5U);
  EXPECT_EQ(slice.refused, 7U);
  ASSERT_THAT(slice.processes, SizeIs(1));
  EXPECT_EQ(slice.processes[0].host_pid, tenant_);
  EXPECT_EQ(slice.processes[0].alive, true);
  EXPECT_NE(slice.processes[0].command, "");
  EXPECT_EQ(slice.processes[0].used_bytes, 3 * kGib);

  // In its container the same PID is its own.
  Change([](api::Region* region) { region->v1.processes[0].host_pid = 1; });
  share_.inside = true;
  EXPECT_EQ(ReadOne().processes[0].host_pid, tenant_);

  kill(tenant_, SIGKILL);
  waitpid(tenant_, nullptr, 0);
  tenant_ = -1;
  slice = ReadOne();
  ASSERT_THAT(slice.processes, SizeIs(1));
  EXPECT_EQ(slice.processes[0].alive, false);
  EXPECT_EQ(slice.processes[0].command, "");
}

TEST_F(TopSlicesTest, ComputeLimitsThatDoNotHold) {
  Make();
  Change([](api::Region* region) { region->v1.utilization_switch = 0; });
  EXPECT_FALSE(ReadOne().cores_enforced);
  Change([](api::Region* region) { region->v1.recent_kernel = -1; });
  EXPECT_TRUE(ReadOne().launches_held);
}

TEST_F(TopSlicesTest, AForcedComputeLimitHoldsAnyway) {
  Make("force");
  Change([](api::Region* region) { region->v1.utilization_switch = 0; });
  EXPECT_TRUE(ReadOne().cores_enforced);
}

TEST_F(TopSlicesTest, ADisabledComputeLimitIsNone) {
  Make("disable");
  EXPECT_FALSE(ReadOne().cores_limit_pct);
}

TEST_F(TopSlicesTest, HamisOwnRegionHasItsLimitsInside) {
  Make();
  Change([](api::Region* region) {
    region->v1.device_count = 2;
    strcpy(region->v1.uuids[0], "GPU-a");
    strcpy(region->v1.uuids[1], "GPU-b\x1b[2J");
    region->v1.limit_bytes[0] = kGib;
    region->v1.limit_cores_pct[0] = 40;
    region->v1.process_count = 1;
    region->v1.processes[0].pid = 3;
    region->v1.processes[0].used[0].total_bytes = 5;
  });
  share_.kind = Kind::kContainer;
  share_.region = folder_ / "x.cache";
  ASSERT_EQ(rename((folder_ / "region").c_str(), share_.region.c_str()), 0);
  ASSERT_EQ(truncate(share_.region.c_str(), api::kRegionV1FileBytes), 0);
  // The tenant may write beside it.
  WriteLimits("forged");
  const std::vector<Slice> slices = ReadSlices(share_, std::nullopt);
  ASSERT_THAT(slices, SizeIs(2));
  EXPECT_EQ(slices[0].memory_limit_bytes, kGib);
  EXPECT_EQ(slices[0].cores_limit_pct, 40U);
  EXPECT_EQ(slices[0].used_bytes, 5U);
  EXPECT_FALSE(slices[0].refused || slices[0].gpu_ns || slices[0].throttled_ns);
  EXPECT_EQ(slices[0].problem, "");
  EXPECT_EQ(slices[1].device_uuid, "GPU-b?[2J");
}

TEST_F(TopSlicesTest, ARegionThatIsNone) {
  Make();
  ASSERT_TRUE(base::WriteFileAtomically(share_.region, "garbage", 0644));
  const Slice slice = ReadOne();
  EXPECT_FALSE(slice.counted);
  EXPECT_THAT(slice.problem, HasSubstr("no region"));
  EXPECT_EQ(slice.memory_limit_bytes, 4 * kGib);
}

TEST_F(TopSlicesTest, LimitsThatAreBroken) {
  Make();
  WriteLimits("hami-limits 1\n");
  const Slice slice = ReadOne();
  EXPECT_THAT(slice.problem, HasSubstr("limits"));
  EXPECT_FALSE(slice.memory_limit_bytes);
  ASSERT_EQ(unlink(share_.region.c_str()), 0);
  EXPECT_FALSE(ReadOne().counted);
}

TEST_F(TopSlicesTest, WhateverATenantWritesIsShown) {
  Make();
  std::mt19937_64 random(1);
  for (int round = 0; round < 40; ++round) {
    Change([&](api::Region* region) {
      auto* const bytes = reinterpret_cast<unsigned char*>(region);
      // All but what makes it a region.
      for (size_t i = 16; i < sizeof(api::Region); i += 1 + random() % 64) {
        if (i >= api::kExtensionOffset && i < api::kExtensionOffset + 16) continue;
        bytes[i] = static_cast<unsigned char>(random());
      }
      if (round % 2 == 0) region->v1.device_count = 1 + random() % 16;
    });
    Snapshot snapshot;
    snapshot.slices = ReadSlices(share_, std::nullopt);
    ASSERT_THAT(snapshot.slices, SizeIs(1));
    EXPECT_EQ(snapshot.slices[0].memory_limit_bytes, 4 * kGib);
    for (const Line& line : PageOf(snapshot, {.width = 120})) {
      for (const char c : line.text) ASSERT_TRUE(c >= ' ' && c <= '~');
    }
    EXPECT_NE(JsonOf(snapshot), "");
  }
}

}  // namespace
}  // namespace hami::top
