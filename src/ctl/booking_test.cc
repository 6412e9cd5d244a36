// SPDX-License-Identifier: Apache-2.0

#include "ctl/booking.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/region/region.h"
#include "api/share/agent.h"
#include "base/temporary_folder.h"
#include "share/region_file.h"

namespace hami::ctl {
namespace {

Booking Example() {
  Booking booking;
  booking.name = "python-4711";
  booking.pid = 4711;
  booking.uid = 1000;
  booking.created_unix_s = 1'700'000'000;
  booking.device_uuid = "GPU-f1c7";
  booking.device_index = 3;
  booking.device_name = "NVIDIA \"A10\"";
  booking.simulation = "/run/hami/sim/default";
  booking.memory_bytes = uint64_t{10} << 30;
  booking.cores_pct = 50;
  booking.policy = "force";
  booking.degraded = true;
  booking.command = {"sh", "-c", "echo 'a\nb'", ""};
  return booking;
}

TEST(BookingTest, ReadsBackWhatItWrote) {
  const Booking booking = Example();
  const Result<Booking> read = ParseBooking(WriteBooking(booking));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->name, booking.name);
  EXPECT_EQ(read->pid, booking.pid);
  EXPECT_EQ(read->uid, booking.uid);
  EXPECT_EQ(read->created_unix_s, booking.created_unix_s);
  EXPECT_EQ(read->device_uuid, booking.device_uuid);
  EXPECT_EQ(read->device_index, booking.device_index);
  EXPECT_EQ(read->device_name, booking.device_name);
  EXPECT_EQ(read->simulation, booking.simulation);
  EXPECT_EQ(read->memory_bytes, booking.memory_bytes);
  EXPECT_EQ(read->cores_pct, booking.cores_pct);
  EXPECT_EQ(read->policy, booking.policy);
  EXPECT_EQ(read->degraded, booking.degraded);
  EXPECT_EQ(read->command, booking.command);
}

TEST(BookingTest, ALongCommandIsCutSoThatOtherRunsCanReadIt) {
  Booking booking = Example();
  booking.command = {"first", std::string(3 << 20, '\1'), "last"};
  const std::string text = WriteBooking(booking);
  EXPECT_LT(text.size(), size_t{1} << 20);
  const Result<Booking> read = ParseBooking(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->command, (std::vector<std::string>{"first", "..."}));
}

// Who reads it is somebody else than who wrote it.
TEST(BookingTest, NumbersAreWholeAndInRange) {
  const std::string good = WriteBooking({.name = "x", .pid = 77, .cores_pct = 33});
  ASSERT_TRUE(ParseBooking(good));
  for (const char* number : {"7.5", "1e66", "-1e66", "77e0", "2147483648", "4294967373", "null"}) {
    std::string text = good;
    text.replace(text.find("77"), 2, number);
    EXPECT_FALSE(ParseBooking(text)) << text;
    text = good;
    text.replace(text.find("33"), 2, number);
    EXPECT_FALSE(ParseBooking(text)) << text;
  }
}

TEST(BookingTest, WhatIsNoBookingIsDataLoss) {
  std::string older = WriteBooking(Example());
  older.replace(older.find("\"version\":1"), 11, "\"version\":2");
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[1]"), older,
                                  WriteBooking(Example()).substr(0, 40)}) {
    const Result<Booking> read = ParseBooking(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Code::kDataLoss);
  }
}

TEST(BookingTest, ACommandNeedNotBeUtf8) {
  Booking booking = Example();
  booking.command = {"\xff\xfe", "plain"};
  const Result<Booking> read = ParseBooking(WriteBooking(booking));
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->command.size(), 2U);
  EXPECT_EQ(read->command[1], "plain");
}

// Other runs read at most 1 MiB; a command line may be longer.
TEST(BookingTest, ALongCommandIsCut) {
  Booking booking = Example();
  booking.command.assign(1'000, std::string(2'000, '\x01'));
  const Result<Booking> read = ParseBooking(WriteBooking(booking));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->command.front().size(), 2'000U);
  EXPECT_EQ(read->command.back(), "...");
  EXPECT_LT(WriteBooking(booking).size(), size_t{1} << 20);
  booking.command.assign(1'000'000, "");
  EXPECT_LT(WriteBooking(booking).size(), size_t{1} << 20);
}

class LivenessTest : public ::testing::Test {
 protected:
  Liveness Look() {
    const Result<Liveness> liveness = LookForLife(folder_.path());
    EXPECT_TRUE(liveness);
    return liveness.value_or(Liveness::kDead);
  }
  base::TemporaryFolder folder_;
};

TEST_F(LivenessTest, AnEmptyFolderIsDead) { EXPECT_EQ(Look(), Liveness::kDead); }

TEST_F(LivenessTest, ABookingLivesAsLongAsItsHold) {
  Result<base::Fd> hold = WriteAndHoldBooking(folder_.path(), Example());
  ASSERT_TRUE(hold);
  EXPECT_EQ(Look(), Liveness::kHeldByHami);
  hold->Reset();
  EXPECT_EQ(Look(), Liveness::kDead);
}

TEST_F(LivenessTest, ForkedChildrenKeepTheHold) {
  Result<base::Fd> hold = WriteAndHoldBooking(folder_.path(), Example());
  ASSERT_TRUE(hold);
  int until[2];
  ASSERT_EQ(pipe(until), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(until[1]);
    char byte = 0;
    (void)!read(until[0], &byte, 1);
    _exit(0);
  }
  close(until[0]);
  hold->Reset();
  EXPECT_EQ(Look(), Liveness::kHeldByHami);
  close(until[1]);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(Look(), Liveness::kDead);
}

TEST_F(LivenessTest, AReplacedBookingIsHeldByTheNewFileAlone) {
  Result<base::Fd> first = WriteAndHoldBooking(folder_.path(), Example());
  Result<base::Fd> second = WriteAndHoldBooking(folder_.path(), Example());
  ASSERT_TRUE(first && second);
  first->Reset();
  EXPECT_EQ(Look(), Liveness::kHeldByHami);
  second->Reset();
  EXPECT_EQ(Look(), Liveness::kDead);
}

TEST_F(LivenessTest, AnySlotOfTheRegionKeepsTheBookingAlive) {
  const std::string path = folder_ / api::kRegionFile;
  ASSERT_TRUE(share::RegionFile::Create(path));
  for (const int slot : {0, api::kMaxProcesses - 1}) {
    base::Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = api::kSlotLockOffset + slot;
    lock.l_len = 1;
    ASSERT_EQ(fcntl(file.get(), F_OFD_SETLK, &lock), 0);
    EXPECT_EQ(Look(), Liveness::kHeldByProcesses);
    file.Reset();
    EXPECT_EQ(Look(), Liveness::kDead);
  }
}

}  // namespace
}  // namespace hami::ctl
