// SPDX-License-Identifier: Apache-2.0

#include "preload/visible_devices.h"

#include <gtest/gtest.h>

#include <string>

namespace hami::preload {
namespace {

// Devices 0 to 2 are "GPU-a", "GPU-b", "GPU-c".
const char* UuidOf(const void*, int number) {
  static constexpr const char* kUuids[] = {"GPU-a", "GPU-b", "GPU-c"};
  return number >= 0 && number < 3 ? kUuids[number] : nullptr;
}

std::string Translated(const std::string& list, size_t room = 64) {
  std::string out(room, 'x');
  if (!TranslateVisibleDevices(list.c_str(), UuidOf, nullptr, out.data(), room))
    return "left alone";
  return out.c_str();
}

TEST(VisibleDevices, NumbersBecomeUuids) {
  EXPECT_EQ(Translated("0"), "GPU-a");
  EXPECT_EQ(Translated("2,0"), "GPU-c,GPU-a");
  EXPECT_EQ(Translated("00,01"), "GPU-a,GPU-b");
}

TEST(VisibleDevices, ANumberWithoutADeviceEndsTheList) {
  EXPECT_EQ(Translated("1,3,0"), "GPU-b");
  EXPECT_EQ(Translated("7"), "");
  EXPECT_EQ(Translated("1,4294967296"), "GPU-b") << "2^32 is not 0";
  EXPECT_EQ(Translated("1,99999999999999999999999"), "GPU-b");
}

TEST(VisibleDevices, OtherFormsAreTheDrivers) {
  for (const char* list :
       {"", "GPU-a", "MIG-1", "-1", "0,GPU-b", "0, 1", "0,", ",", "0;1", "none"}) {
    EXPECT_EQ(Translated(list), "left alone") << list;
  }
}

// The first half of a UUID may be another device's name.
TEST(VisibleDevices, AUuidIsWholeOrNotThere) {
  EXPECT_EQ(Translated("0,1,2", 12), "GPU-a,GPU-b");
  EXPECT_EQ(Translated("0,1,2", 11), "GPU-a");
  EXPECT_EQ(Translated("0", 5), "");
}

TEST(VisibleDevices, TheNumberAtAPlace) {
  EXPECT_EQ(VisibleNumber("3,1", 0), 3);
  EXPECT_EQ(VisibleNumber("3,1", 1), 1);
  EXPECT_EQ(VisibleNumber("3,1", 2), 2) << "there are only two";
  EXPECT_EQ(VisibleNumber("GPU-a,1", 1), 1) << "the driver's order";
  EXPECT_EQ(VisibleNumber("99999999999999999999", 0), kMostVisibleNumber);
  EXPECT_EQ(VisibleNumber("", 4), 4);
}

}  // namespace
}  // namespace hami::preload
