// SPDX-License-Identifier: Apache-2.0

#include "top/collect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "base/fake_clock.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "share/limits_text.h"
#include "share/region_file.h"
#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr int64_t kSecond = 1'000'000'000;

DriverLook OneDevice() {
  DriverLook look = {.version = "580.1", .simulation = "an A10"};
  DriverDevice device;
  device.device.index = 3;
  device.device.uuid = "GPU-aa";
  device.device.name = "A10\x1b";
  device.device.memory_bytes = 24 * kGib;
  device.device.memory_used_bytes = kGib;
  device.utilization_pct = 75;
  device.busy_ns.emplace();
  (*device.busy_ns)[5000] = kSecond / 4;
  look.devices.push_back(std::move(device));
  return look;
}

Snapshot WithoutDevices() {
  Snapshot snapshot = FakeSnapshot();
  snapshot.devices.clear();
  for (Slice& slice : snapshot.slices) slice.compute_source = ComputeSource::kNone;
  return snapshot;
}

TEST(TopCollectTest, TheDriversFigures) {
  Snapshot snapshot = WithoutDevices();
  AddDriver(OneDevice(), &snapshot);
  EXPECT_EQ(snapshot.driver_version, "580.1");
  ASSERT_THAT(snapshot.devices, SizeIs(1));
  EXPECT_EQ(snapshot.devices[0].name, "A10?");
  EXPECT_EQ(snapshot.devices[0].utilization_pct, 75U);
  EXPECT_EQ(snapshot.slices[0].device_index, 3);
  EXPECT_TRUE(snapshot.slices[0].simulated);
  // Its limit holds, so its region counts.
  EXPECT_EQ(snapshot.slices[0].compute_source, ComputeSource::kNone);
  EXPECT_EQ(snapshot.slices[1].compute_source, ComputeSource::kDriver);
  EXPECT_EQ(snapshot.slices[1].compute_pct, 25);
  EXPECT_EQ(snapshot.slices[1].processes[0].compute_pct, 25);
  EXPECT_FALSE(snapshot.slices[2].device_index);
}

TEST(TopCollectTest, ANeighboursPidIsNotBelieved) {
  Snapshot snapshot = WithoutDevices();
  snapshot.slices[0].processes[0].host_pid = 5000;
  snapshot.slices[1].compute_pct.reset();
  AddDriver(OneDevice(), &snapshot);
  EXPECT_EQ(snapshot.slices[1].compute_source, ComputeSource::kNone);
  EXPECT_FALSE(snapshot.slices[1].compute_pct);
}

TEST(TopCollectTest, AClaimForTheWholeDevice) {
  Snapshot snapshot = WithoutDevices();
  snapshot.slices[1].memory_limit_bytes = 24 * kGib;
  AddDriver(OneDevice(), &snapshot);
  EXPECT_EQ(snapshot.slices[1].rung, "none");
  EXPECT_EQ(snapshot.slices[0].rung, "preload");
}

TEST(TopCollectTest, DevicesThatOnlySlicesName) {
  Snapshot snapshot = WithoutDevices();
  snapshot.slices[1].memory_limit_bytes = UINT64_MAX;
  SumSlices(&snapshot);
  ASSERT_THAT(snapshot.devices, SizeIs(2));
  EXPECT_EQ(snapshot.devices[0].uuid, "GPU-aa");
  EXPECT_EQ(snapshot.devices[0].slices, 2);
  EXPECT_EQ(snapshot.devices[0].granted_bytes, UINT64_MAX);
  EXPECT_EQ(snapshot.devices[0].granted_cores_pct, 50U);
  EXPECT_FALSE(snapshot.devices[0].memory_bytes);
}

TEST(TopCollectTest, LooksAgainAndAgain) {
  const base::TemporaryFolder folder;
  ASSERT_TRUE(base::MakeFolders(folder / "shares/train", 0755));
  ASSERT_TRUE(share::RegionFile::Create(folder / "shares/train/region"));
  ASSERT_TRUE(base::WriteFileAtomically(
      folder / "shares/train/limits",
      share::WriteLimits({.device_uuid = "GPU-1", .memory_bytes = kGib, .cores_pct = 10}), 0644));
  std::vector<std::string> asked;
  Sources sources;
  sources.runs = folder / "shares";
  sources.read_note = [](const std::string&) { return RunNote{.simulation = "/sim/a"}; };
  sources.load_driver = [&](const std::vector<std::string>& simulations) {
    asked = simulations;
    return Fail(Code::kUnavailable, "no driver\nand more");
  };
  base::FakeClock clock;
  Collector collector(sources, {}, clock);
  const Snapshot first = collector.Look();
  EXPECT_FALSE(first.interval_ns);
  EXPECT_THAT(asked, ElementsAre("/sim/a"));
  ASSERT_THAT(first.slices, SizeIs(1));
  EXPECT_THAT(first.devices, SizeIs(1));
  EXPECT_THAT(first.notes, ElementsAre(HasSubstr("no driver; devices are those")));
  clock.Advance(kSecond);
  const Snapshot second = collector.Look();
  EXPECT_EQ(second.interval_ns, kSecond);
  EXPECT_EQ(second.slices[0].compute_pct, 0);
  EXPECT_EQ(second.slices[0].compute_source, ComputeSource::kRegion);
  ASSERT_TRUE(base::RemoveTree(folder / "shares/train"));
  EXPECT_THAT(collector.Look().slices, IsEmpty());
}

}  // namespace
}  // namespace hami::top
