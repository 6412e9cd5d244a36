// SPDX-License-Identifier: Apache-2.0

#include "ctl/room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kGib = base::kGib;

gpu::Device MakeDevice(int index, uint64_t memory_gib) {
  gpu::Device device;
  device.index = index;
  device.uuid = "GPU-" + std::to_string(index);
  device.name = "Test card";
  device.memory_bytes = memory_gib * kGib;
  return device;
}

gpu::Inventory TwoCards() {
  gpu::Inventory inventory;
  inventory.devices = {MakeDevice(0, 24), MakeDevice(1, 16)};
  return inventory;
}

Holder Book(int index, uint64_t memory_gib, int cores_pct, std::vector<int> pids = {}) {
  Holder holder;
  holder.booking.name = "held";
  holder.booking.pid = 77;
  holder.booking.device_uuid = "GPU-" + std::to_string(index);
  holder.booking.memory_bytes = memory_gib * kGib;
  holder.booking.cores_pct = cores_pct;
  holder.booking.command = {"python", "train.py"};
  holder.host_pids = std::move(pids);
  return holder;
}

Wish Want(const std::string& memory, int cores_pct = 0, const std::string& gpu = "") {
  return {.gpu = gpu, .memory = base::ParseMemoryAmount(memory).value(), .cores_pct = cores_pct};
}

// The chosen index, or minus the error's code.
int PlaceOn(const gpu::Inventory& inventory, const std::vector<Holder>& holders, const Wish& wish) {
  const Result<Placement> placement = Place(wish, inventory, MeasureRoom(inventory, "", holders));
  return placement ? placement->device->index : -static_cast<int>(placement.error().code);
}

constexpr int kNoRoom = -static_cast<int>(Code::kResourceExhausted);
constexpr int kNever = -static_cast<int>(Code::kInvalidArgument);

TEST(RoomTest, AnEmptyCardIsFreeAsAWhole) {
  const gpu::Inventory inventory = TwoCards();
  EXPECT_EQ(PlaceOn(inventory, {}, Want("24Gi", 100)), 0);
  EXPECT_EQ(PlaceOn(inventory, {}, Want("16Gi", 100, "1")), 1);
}

TEST(RoomTest, BookedMemoryIsTakenUsedOrNot) {
  const gpu::Inventory inventory = TwoCards();
  EXPECT_EQ(PlaceOn(inventory, {Book(0, 14, 0)}, Want("10Gi", 0, "0")), 0);
  EXPECT_EQ(PlaceOn(inventory, {Book(0, 14, 0)}, Want("10241Mi", 0, "0")), kNoRoom);
}

TEST(RoomTest, MemoryOfABookingsProcessesIsCountedOnce) {
  gpu::Inventory inventory = TwoCards();
  inventory.devices[0].processes = {{.pid = 5, .used_bytes = 14 * kGib}};
  inventory.devices[0].memory_used_bytes = 14 * kGib;
  EXPECT_EQ(PlaceOn(inventory, {Book(0, 14, 0, {5})}, Want("10Gi", 0, "0")), 0);
  EXPECT_EQ(PlaceOn(inventory, {Book(0, 14, 0, {6})}, Want("10Gi", 0, "0")), kNoRoom);
}

TEST(RoomTest, ProcessesOutsideTakeWhatTheyHold) {
  gpu::Inventory inventory = TwoCards();
  inventory.devices[0].processes = {{.pid = 5, .used_bytes = 20 * kGib}};
  const std::vector<Room> rooms = MeasureRoom(inventory, "", {});
  EXPECT_EQ(rooms[0].outside_bytes, 20 * kGib);
  EXPECT_EQ(rooms[0].free_bytes, 4 * kGib);
  EXPECT_EQ(PlaceOn(inventory, {}, Want("5Gi", 0, "0")), kNoRoom);
}

TEST(RoomTest, WhereTheDriverTellsNoProcessesUseBeyondTheBookingsIsOutside) {
  gpu::Inventory inventory = TwoCards();
  inventory.devices[0].processes_known = false;
  inventory.devices[0].memory_used_bytes = 10 * kGib;
  const std::vector<Holder> holders = {Book(0, 4, 0)};
  const std::vector<Room> rooms = MeasureRoom(inventory, "", holders);
  EXPECT_EQ(rooms[0].outside_bytes, 6 * kGib);
  EXPECT_EQ(rooms[0].free_bytes, 14 * kGib);
}

TEST(RoomTest, AnUnknownProcessSizeFallsBackToTheDevicesUse) {
  gpu::Inventory inventory = TwoCards();
  inventory.devices[0].processes = {{.pid = 5, .used_bytes = std::nullopt}};
  inventory.devices[0].memory_used_bytes = 3 * kGib;
  EXPECT_EQ(MeasureRoom(inventory, "", {})[0].outside_bytes, 3 * kGib);
}

TEST(RoomTest, ComputeIsAtMostAHundredInSum) {
  const gpu::Inventory inventory = TwoCards();
  const std::vector<Holder> holders = {Book(0, 1, 60), Book(0, 1, 20)};
  EXPECT_EQ(PlaceOn(inventory, holders, Want("1Gi", 20, "0")), 0);
  EXPECT_EQ(PlaceOn(inventory, holders, Want("1Gi", 21, "0")), kNoRoom);
  EXPECT_EQ(PlaceOn(inventory, holders, Want("1Gi", 0, "0")), 0);
}

TEST(RoomTest, OverbookedIsFullNotNegative) {
  const gpu::Inventory inventory = TwoCards();
  const std::vector<Holder> holders = {Book(0, 20, 80), Book(0, 20, 80)};
  const std::vector<Room> rooms = MeasureRoom(inventory, "", holders);
  EXPECT_EQ(rooms[0].free_bytes, 0U);
  EXPECT_EQ(rooms[0].free_cores_pct, 0);
}

TEST(RoomTest, BookingsOfAnotherDriverDoNotCount) {
  const gpu::Inventory inventory = TwoCards();
  Holder simulated = Book(0, 24, 100);
  simulated.booking.simulation = "/run/hami/sim/default";
  EXPECT_EQ(MeasureRoom(inventory, "", {simulated})[0].free_bytes, 24 * kGib);
}

TEST(RoomTest, TheDeviceWithMostComputeThenMemoryThenTheFirst) {
  gpu::Inventory inventory = TwoCards();
  EXPECT_EQ(PlaceOn(inventory, {Book(0, 1, 50)}, Want("1Gi")), 1);
  EXPECT_EQ(PlaceOn(inventory, {}, Want("1Gi")), 0);
  inventory.devices[1].memory_bytes = 24 * kGib;
  EXPECT_EQ(PlaceOn(inventory, {}, Want("1Gi")), 0);
  EXPECT_EQ(PlaceOn(inventory, {Book(0, 1, 0)}, Want("1Gi")), 1);
}

TEST(RoomTest, APercentageIsOfTheDeviceThatIsChosen) {
  const gpu::Inventory inventory = TwoCards();
  const Result<Placement> placement =
      Place(Want("50%", 0, "1"), inventory, MeasureRoom(inventory, "", {}));
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->memory_bytes, 8 * kGib);
}

TEST(RoomTest, WhatCanNeverFitIsWrongNotLate) {
  const gpu::Inventory inventory = TwoCards();
  EXPECT_EQ(PlaceOn(inventory, {}, Want("25Gi")), kNever);
  EXPECT_EQ(PlaceOn(inventory, {}, Want("17Gi", 0, "1")), kNever);
  EXPECT_EQ(PlaceOn(inventory, {}, Want("0")), kNever);
  EXPECT_EQ(PlaceOn(inventory, {}, Want("1Gi", 0, "2")), kNever);
}

TEST(RoomTest, TheRefusalNamesWhatIsFreeAndWhoHoldsTheRest) {
  const gpu::Inventory inventory = TwoCards();
  const std::vector<Holder> holders = {Book(1, 12, 30)};
  const Result<Placement> placement =
      Place(Want("8Gi", 50, "1"), inventory, MeasureRoom(inventory, "", holders));
  ASSERT_FALSE(placement);
  EXPECT_THAT(placement.error().message,
              AllOf(HasSubstr("no room for 8Gi of memory and 50 % of compute on this GPU"),
                    HasSubstr("4.0 GiB of 16.0 GiB and 70 % of compute free"), HasSubstr("held"),
                    HasSubstr("pid 77"), HasSubstr("12Gi"), HasSubstr("30 %"),
                    HasSubstr("python train.py"), Not(HasSubstr("GPU-0"))));
}

TEST(RoomTest, ACommandCannotDrawOnTheTerminal) {
  const gpu::Inventory inventory = TwoCards();
  Holder holder = Book(0, 1, 0);
  holder.booking.command = {"x\x1b[2J", std::string(200, 'y')};
  const std::vector<Holder> holders = {holder};
  const std::string text = DescribeRoom(MeasureRoom(inventory, "", holders));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr(std::string(100, 'y'))));
}

}  // namespace
}  // namespace hami::ctl
