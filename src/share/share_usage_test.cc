// SPDX-License-Identifier: Apache-2.0

#include "share/share_usage.h"

#include <gtest/gtest.h>

namespace hami::share {
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

TEST(ShareUsageTest, WhatNoSlotAccountsForIsHidden) {
  const ShareUsage usage = MeasureShare(
      {Granted(4 * kGib, {{.pid = 10, .used_bytes = kGib}, {.pid = 11, .used_bytes = 2 * kGib}})},
      {Slot(5, 10, 2 * kGib), Slot(7, 11, kGib)}, Everybody);
  EXPECT_EQ(usage.hidden_bytes, (std::map<int, uint64_t>{{11, kGib}}));
  const ShareUsage without_slot =
      MeasureShare({Granted(4 * kGib, {{.pid = 12, .used_bytes = kMib}})}, {}, Everybody);
  EXPECT_EQ(without_slot.hidden_bytes, (std::map<int, uint64_t>{{12, kMib}}));
  const ShareUsage unclear = MeasureShare({Granted(4 * kGib, {{.pid = 12, .used_bytes = kGib}})},
                                          {Slot(0, 0, kGib)}, Everybody);
  EXPECT_TRUE(unclear.hidden_bytes.empty()) << "the slot may be that of process 12";
}

TEST(ShareUsageTest, HiddenIsWhatTwoLooksSee) {
  EXPECT_EQ(
      HiddenInBoth({{10, kGib}, {11, kMib}, {13, kGib}}, {{10, kMib}, {11, kGib}, {12, kGib}}),
      2 * kMib);
  EXPECT_EQ(HiddenInBoth({}, {{10, kGib}}), 0U);
}

TEST(ShareUsageTest, TheLargerChargeOfTheSameProcessCounts) {
  const std::vector<SlotView> slots =
      LargerCharges({Slot(1, 10, kMib), Slot(2, 11, kGib), Slot(3, 12, kMib)},
                    {Slot(1, 10, kGib), Slot(2, 11, kMib), Slot(3, 99, kGib)});
  ASSERT_EQ(slots.size(), 3U);
  EXPECT_EQ(slots[0].charged_bytes[0], kGib);
  EXPECT_EQ(slots[1].charged_bytes[0], kGib);
  EXPECT_EQ(slots[2].charged_bytes[0], kMib) << "another process took the slot";
}

TEST(ShareUsageTest, WhoHasNoSlotIsOutside) {
  const std::vector<SlotView> slots = {Slot(0, 10, kGib), Slot(1, 11, 0)};
  const ShareUsage usage = MeasureShare({Granted(4 * kGib, {{.pid = 10, .used_bytes = kGib},
                                                            {.pid = 11, .used_bytes = kGib},
                                                            {.pid = 12, .used_bytes = 5 * kMib},
                                                            {.pid = 13, .used_bytes = {}},
                                                            {.pid = 14, .used_bytes = kGib}})},
                                        slots, [](int pid) { return pid != 14; });
  ASSERT_EQ(usage.outsiders.size(), 2U);
  EXPECT_EQ(usage.outsiders[0].pid, 12);
  EXPECT_EQ(usage.outsiders[0].device_index, 2);
  EXPECT_EQ(usage.outsiders[0].bytes, 5 * kMib);
  EXPECT_EQ(usage.outsiders[1].pid, 13);
  EXPECT_TRUE(usage.escapes.empty()) << "the slice is large enough";
}

TEST(ShareUsageTest, ASlotThatCameOrWentBetweenTwoLooksIsASlot) {
  const std::vector<Outsider> seen = {{.pid = 12, .device_index = 0, .bytes = kGib},
                                      {.pid = 13, .device_index = 0, .bytes = kGib},
                                      {.pid = 14, .device_index = 0, .bytes = kGib}};
  const std::vector<Outsider> left = WithoutSlot(seen, {Slot(0, 12, 0)}, {Slot(1, 13, 0)});
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].pid, 14);
}

TEST(ShareUsageTest, NobodyIsOutsideWhileASlotsProcessIsNotKnown) {
  const std::vector<Outsider> seen = {{.pid = 12, .device_index = 0, .bytes = kGib}};
  EXPECT_TRUE(WithoutSlot(seen, {}, {Slot(1, 0, 0)}).empty());
  EXPECT_TRUE(WithoutSlot(seen, {Slot(1, 0, 0)}, {}).empty());
  SlotView dead = Slot(1, 0, 0);
  dead.alive = false;
  EXPECT_EQ(WithoutSlot(seen, {dead}, {dead}).size(), 1U);
}

}  // namespace
}  // namespace hami::share
