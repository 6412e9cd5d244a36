// SPDX-License-Identifier: Apache-2.0

#include "ctl/share_usage.h"

#include <gtest/gtest.h>

namespace hami::ctl {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr uint64_t kMib = uint64_t{1} << 20;

SlotView Slot(int slot, int host_pid, uint64_t charged) {
  SlotView view = {.slot = slot, .pid = host_pid, .host_pid = host_pid, .alive = true};
  view.charged_bytes[0] = charged;
  return view;
}

DeviceSight Granted(uint64_t limit, std::vector<gpu::DeviceProcess> processes) {
  return {.index = 2,
          .uuid = "GPU-2",
          .granted_as = 0,
          .limit_bytes = limit,
          .processes = std::move(processes)};
}

bool Everybody(int) { return true; }

TEST(ShareUsageTest, TheDriversFiguresGoToTheSlots) {
  const ShareUsage usage = MeasureShare(
      {Granted(4 * kGib, {{.pid = 10, .used_bytes = kGib}, {.pid = 11, .used_bytes = 2 * kGib}})},
      {Slot(5, 10, kGib), Slot(7, 11, 2 * kGib)}, Everybody);
  EXPECT_EQ(usage.driver_bytes, 3 * kGib);
  ASSERT_EQ(usage.slots.size(), 2U);
  EXPECT_EQ(usage.slots[0].slot, 5);
  EXPECT_EQ(usage.slots[0].driver_bytes, kGib);
  EXPECT_EQ(usage.slots[1].slot, 7);
  EXPECT_TRUE(usage.escapes.empty());
}

TEST(ShareUsageTest, ANeighbourCannotBeClaimed) {
  const ShareUsage usage = MeasureShare({Granted(kGib, {{.pid = 10, .used_bytes = 20 * kGib}})},
                                        {Slot(0, 10, 0)}, [](int pid) { return pid != 10; });
  EXPECT_EQ(usage.driver_bytes, 0U);
  EXPECT_TRUE(usage.slots.empty());
  EXPECT_TRUE(usage.escapes.empty());
}

TEST(ShareUsageTest, MoreThanGrantedIsAnEscapeBeyondTheTolerance) {
  const uint64_t limit = 4 * kGib;
  const auto escapes_at = [&](uint64_t bytes) {
    return MeasureShare({Granted(limit, {{.pid = 10, .used_bytes = bytes}})}, {Slot(0, 10, limit)},
                        Everybody)
        .escapes;
  };
  EXPECT_TRUE(escapes_at(limit + EscapeTolerance(limit)).empty());
  const std::vector<Escape> escapes = escapes_at(limit + EscapeTolerance(limit) + 1);
  ASSERT_EQ(escapes.size(), 1U);
  EXPECT_EQ(escapes[0].device_index, 2);
  EXPECT_EQ(escapes[0].limit_bytes, limit);
  EXPECT_EQ(escapes[0].pid, 10);
  EXPECT_TRUE(escapes[0].has_slot);
}

TEST(ShareUsageTest, TheToleranceIsOnePercentAndAtLeast16Mib) {
  EXPECT_EQ(EscapeTolerance(kGib), 16 * kMib);
  EXPECT_EQ(EscapeTolerance(100 * kGib), kGib);
}

TEST(ShareUsageTest, TheProcessWithoutAccountIsBlamedNotTheBiggest) {
  const ShareUsage usage = MeasureShare(
      {Granted(4 * kGib, {{.pid = 10, .used_bytes = 4 * kGib}, {.pid = 11, .used_bytes = kGib}})},
      {Slot(0, 10, 4 * kGib)}, Everybody);
  ASSERT_EQ(usage.escapes.size(), 1U);
  EXPECT_EQ(usage.escapes[0].pid, 11);
  EXPECT_FALSE(usage.escapes[0].has_slot);
  EXPECT_EQ(usage.escapes[0].process_bytes, kGib);
}

TEST(ShareUsageTest, ADeviceThatWasNotGrantedMayHoldNothing) {
  const DeviceSight other = {
      .index = 1, .uuid = "GPU-1", .processes = {{.pid = 10, .used_bytes = kGib}}};
  const ShareUsage usage = MeasureShare({other}, {Slot(0, 10, 0)}, Everybody);
  EXPECT_EQ(usage.driver_bytes, 0U);
  EXPECT_TRUE(usage.slots.empty());
  ASSERT_EQ(usage.escapes.size(), 1U);
  EXPECT_EQ(usage.escapes[0].device_index, 1);
}

TEST(ShareUsageTest, AProcessWhoseMemoryTheDriverDoesNotTellIsLeftOut) {
  const ShareUsage usage = MeasureShare({Granted(kGib, {{.pid = 10, .used_bytes = std::nullopt}})},
                                        {Slot(0, 10, kGib)}, Everybody);
  EXPECT_TRUE(usage.slots.empty());
  EXPECT_TRUE(usage.escapes.empty());
}

}  // namespace
}  // namespace hami::ctl
