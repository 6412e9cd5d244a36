// SPDX-License-Identifier: Apache-2.0

#include "domain/nearest_fit.h"

#include <gtest/gtest.h>

namespace hami::domain {
namespace {

ResourceSlice Node(const std::string& name, std::vector<int64_t> memory) {
  ResourceSlice slice;
  slice.driver = "d";
  slice.pool_name = slice.node_name = name;
  for (size_t i = 0; i < memory.size(); ++i) {
    slice.devices.push_back({.name = "gpu-" + std::to_string(i),
                             .shareable = true,
                             .attributes = {{"uuid", name + std::to_string(i)}},
                             .capacity = {{"memory", {.value = memory[i]}}}});
  }
  return slice;
}

ResourceClaim Asking(std::vector<int64_t> memory) {
  ResourceClaim claim;
  for (size_t i = 0; i < memory.size(); ++i) {
    claim.requests.push_back(
        {.name = "r" + std::to_string(i), .capacity = {{"memory", memory[i]}}});
  }
  return claim;
}

bool All(const DeviceRequest& /*request*/, const PooledDevice& /*device*/) { return true; }

TEST(NearestFitTest, TheNodeThatLacksLeastIsFirst) {
  const DevicePools pools = CollectDevices({Node("n1", {10}), Node("n2", {14, 8})}, {});
  const std::vector<NodeFit> fits = NearestFits(Asking({16}), pools, All);
  ASSERT_EQ(fits.size(), 2U);
  EXPECT_EQ(fits[0].node, "n2");
  EXPECT_FALSE(fits[0].fits);
  ASSERT_EQ(fits[0].requests[0].candidates.size(), 2U);
  EXPECT_EQ(fits[0].requests[0].candidates[0].device->device.name, "gpu-0");
  EXPECT_EQ(fits[0].requests[0].candidates[0].shortages[0].short_by(), 2);
}

TEST(NearestFitTest, ANodeThatFitsIsFirst) {
  const DevicePools pools = CollectDevices({Node("n1", {10}), Node("n2", {20})}, {});
  const std::vector<NodeFit> fits = NearestFits(Asking({16}), pools, All);
  EXPECT_TRUE(fits[0].fits);
  EXPECT_EQ(fits[0].node, "n2");
}

// Two requests may share a device, unless a constraint keeps them apart.
TEST(NearestFitTest, ConstraintsKeepRequestsApart) {
  ResourceClaim claim = Asking({4, 4});
  const DevicePools one = CollectDevices({Node("n1", {10})}, {});
  EXPECT_TRUE(NearestFits(claim, one, All)[0].fits);
  claim.constraints = {{.attribute = "d/uuid", .distinct = true}};
  const std::vector<NodeFit> fits = NearestFits(claim, one, All);
  EXPECT_FALSE(fits[0].fits);
  EXPECT_NE(fits[0].requests[0].device, nullptr);
  EXPECT_EQ(fits[0].requests[1].device, nullptr);
  EXPECT_TRUE(fits[0].requests[1].candidates[0].taken);
  const DevicePools two = CollectDevices({Node("n1", {10, 10})}, {});
  EXPECT_TRUE(NearestFits(claim, two, All)[0].fits);
}

// The first device could take the first request, but then nothing is left for the second.
TEST(NearestFitTest, TheSearchGoesBack) {
  ResourceClaim claim = Asking({4, 10});
  const DevicePools pools = CollectDevices({Node("n1", {10, 4})}, {});
  EXPECT_TRUE(NearestFits(claim, pools, All)[0].fits);
}

TEST(NearestFitTest, ACountWantsDifferentDevices) {
  ResourceClaim claim = Asking({4});
  claim.requests[0].count = 2;
  EXPECT_FALSE(NearestFits(claim, CollectDevices({Node("n1", {10})}, {}), All)[0].fits);
  EXPECT_TRUE(NearestFits(claim, CollectDevices({Node("n1", {10, 10})}, {}), All)[0].fits);
}

TEST(NearestFitTest, AllAreAsManyAsTheNodeHas) {
  ResourceClaim claim = Asking({4});
  claim.requests[0].all = true;
  EXPECT_TRUE(NearestFits(claim, CollectDevices({Node("n1", {10, 10})}, {}), All)[0].fits);
  EXPECT_FALSE(NearestFits(claim, CollectDevices({Node("n1", {10, 2})}, {}), All)[0].fits);
}

// Neither two requests of a claim nor two claims, whether it has capacities or not.
TEST(NearestFitTest, ADeviceThatCannotBeSharedServesOne) {
  ResourceSlice slice = Node("n1", {10});
  slice.devices[0].shareable = false;
  for (const bool bare : {false, true}) {
    if (bare) slice.devices[0].capacity.clear();
    ResourceClaim claim = Asking({1});
    if (bare) claim.requests[0].capacity.clear();
    EXPECT_TRUE(NearestFits(claim, CollectDevices({slice}, {}), All)[0].fits);
    ResourceClaim other;
    other.results = {{.driver = "d", .pool = "n1", .device = "gpu-0"}};
    EXPECT_FALSE(NearestFits(claim, CollectDevices({slice}, {other}), All)[0].fits);
    claim.requests.push_back(claim.requests[0]);
    claim.requests[1].name = "second";
    EXPECT_FALSE(NearestFits(claim, CollectDevices({slice}, {}), All)[0].fits);
  }
}

TEST(NearestFitTest, AdminAccessTakesNothing) {
  ResourceClaim claim = Asking({10, 10});
  claim.requests[0].admin_access = true;
  EXPECT_TRUE(NearestFits(claim, CollectDevices({Node("n1", {10})}, {}), All)[0].fits);
}

TEST(NearestFitTest, AnAlternativeIsEnough) {
  ResourceClaim claim;
  claim.requests = {{.name = "r/big", .capacity = {{"memory", 40}}},
                    {.name = "r/small", .capacity = {{"memory", 8}}}};
  const std::vector<NodeFit> fits = NearestFits(claim, CollectDevices({Node("n1", {10})}, {}), All);
  EXPECT_TRUE(fits[0].fits);
  EXPECT_EQ(fits[0].requests[0].request->name, "r/small");
}

}  // namespace
}  // namespace hami::domain
