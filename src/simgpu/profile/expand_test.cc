// SPDX-License-Identifier: Apache-2.0

#include "simgpu/profile/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace hami::simgpu {
namespace {

Profile WithEntries(const std::string& entries) {
  Result<Profile> profile = ParseProfile(
      "name: p\ndriver: {version: 550.1, cuda: \"12.4\"}\ndevices:\n" + entries, "f.yaml");
  EXPECT_TRUE(profile.has_value()) << profile.error().message;
  return *profile;
}

std::string Entry(const std::string& more) {
  return "  - {name: G, compute_capability: \"8.6\", memory: {total: 1GiB, context: 1MiB}, "
         "multiprocessors: {count: 1}" +
         more + "}\n";
}

constexpr char kUuid[] = "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf";

TEST(ExpandTest, CountsUpWhatTellsDevicesApart) {
  const Profile profile =
      WithEntries(Entry(", count: 3, serial: \"A0099\", uuid: " + std::string(kUuid) +
                        ", pci: {address: \"0000:65:01.0\"}"));
  const auto devices = ExpandDevices(profile, "s");
  ASSERT_TRUE(devices.has_value());
  ASSERT_EQ(devices->size(), 3U);
  EXPECT_EQ((*devices)[0].uuid, kUuid);
  EXPECT_EQ((*devices)[0].PciAddress(), "00000000:65:01.0");
  EXPECT_EQ((*devices)[2].PciAddress(), "00000000:67:01.0");
  EXPECT_EQ((*devices)[0].serial, "A0099");
  EXPECT_EQ((*devices)[2].serial, "A0101");
  EXPECT_EQ((*devices)[2].index, 2U);
  EXPECT_THAT((*devices)[1].uuid,
              testing::MatchesRegex("GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
}

TEST(ExpandTest, SameNameSameUuidsOtherNameOtherUuids) {
  const Profile profile = WithEntries(Entry(", count: 8"));
  const auto first = ExpandDevices(profile, "one");
  const auto again = ExpandDevices(profile, "one");
  const auto other = ExpandDevices(profile, "two");
  ASSERT_TRUE(first && again && other);
  std::set<std::string> all;
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ((*first)[i].uuid, (*again)[i].uuid);
    all.insert((*first)[i].uuid);
    all.insert((*other)[i].uuid);
  }
  EXPECT_EQ(all.size(), 16U);
}

TEST(ExpandTest, EntriesWithoutAddressShareNone) {
  const auto devices = ExpandDevices(WithEntries(Entry("") + Entry(", count: 2")), "s");
  ASSERT_TRUE(devices.has_value());
  EXPECT_EQ((*devices)[0].PciAddress(), "00000000:65:01.0");
  EXPECT_EQ((*devices)[1].PciAddress(), "00000000:66:01.0");
  EXPECT_EQ((*devices)[2].PciAddress(), "00000000:67:01.0");
}

TEST(ExpandTest, MigDevicesHaveUuidsOfTheirOwn) {
  const std::string mig = ", mig: true, memory: {total: 8GiB}, mig_instances: 1g.1gb 1g.1gb";
  const std::string entry =
      "  - {name: G, compute_capability: \"8.0\", multiprocessors: {count: 8}";
  const auto devices = ExpandDevices(WithEntries(entry + mig + ", count: 2}\n"), "s");
  ASSERT_TRUE(devices.has_value());
  std::set<std::string> uuids;
  for (const ExpandedDevice& device : *devices) {
    ASSERT_EQ(device.instances.size(), 2U);
    EXPECT_EQ(device.instances[0].gpu_instance, 1U);
    EXPECT_EQ(device.instances[1].gpu_instance, 2U);
    for (const ExpandedInstance& instance : device.instances) {
      EXPECT_THAT(instance.uuid,
                  testing::MatchesRegex("MIG-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
      uuids.insert(instance.uuid);
    }
  }
  EXPECT_EQ(uuids.size(), 4U);
  const auto many = ExpandDevices(WithEntries(entry + mig + ", count: 22}\n"), "s");
  ASSERT_FALSE(many.has_value());
  EXPECT_THAT(many.error().message, testing::HasSubstr("22 devices with 44 MIG devices"));
}

TEST(ExpandTest, RefusesDevicesThatCannotBeToldApart) {
  const std::string uuid = std::string(", uuid: ") + kUuid;
  EXPECT_FALSE(ExpandDevices(WithEntries(Entry(uuid) + Entry(uuid)), "s").has_value());
  EXPECT_FALSE(
      ExpandDevices(WithEntries(Entry(", count: 2, pci: {address: \"0000:ff:00.0\"}")), "s"));
}

}  // namespace
}  // namespace hami::simgpu
