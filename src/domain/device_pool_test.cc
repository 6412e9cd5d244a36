// SPDX-License-Identifier: Apache-2.0

#include "domain/device_pool.h"

#include <gtest/gtest.h>

namespace hami::domain {
namespace {

ResourceSlice Slice(int64_t generation, int64_t slices) {
  ResourceSlice slice;
  slice.driver = "d";
  slice.pool_name = slice.node_name = "n1";
  slice.pool_generation = generation;
  slice.pool_slices = slices;
  slice.devices = {{.name = "a", .shareable = true, .capacity = {{"cores", {.value = 100}}}}};
  return slice;
}

TEST(DevicePoolTest, OnlyTheNewestGenerationCounts) {
  const DevicePools pools = CollectDevices({Slice(1, 1), Slice(2, 1)}, {});
  EXPECT_EQ(pools.devices.size(), 1U);
  EXPECT_TRUE(pools.incomplete.empty());
}

TEST(DevicePoolTest, APoolWithMissingSlicesIsIncomplete) {
  EXPECT_EQ(CollectDevices({Slice(3, 2)}, {}).incomplete, std::vector<std::string>{"d/n1"});
}

TEST(DevicePoolTest, HoldsAddUp) {
  ResourceClaim claim;
  claim.namespace_name = "default";
  claim.name = "c";
  claim.results = {{.driver = "d", .pool = "n1", .device = "a", .consumed = {{"cores", 30}}},
                   {.driver = "d", .pool = "n1", .device = "a", .consumed = {{"d/cores", 20}}}};
  const DevicePools pools = CollectDevices({Slice(1, 1)}, {claim});
  EXPECT_EQ(pools.devices[0].used.at("cores"), 50);
  EXPECT_EQ(pools.devices[0].holds.size(), 2U);
  EXPECT_TRUE(ShortagesOf(pools.devices[0], {.capacity = {{"cores", 50}}}).empty());
  const std::vector<Shortage> shortages =
      ShortagesOf(pools.devices[0], {.capacity = {{"cores", 60}}});
  ASSERT_EQ(shortages.size(), 1U);
  EXPECT_EQ(shortages[0].short_by(), 10);
}

}  // namespace
}  // namespace hami::domain
