// SPDX-License-Identifier: Apache-2.0

#include "explain/eligibility.h"

#include <gtest/gtest.h>

#include "explain/fake_facts.h"

namespace hami::explain {
namespace {

TEST(EligibilityTest, AComparisonWithTheDriverThatHasToHold) {
  EXPECT_EQ(DriverOfSelector("device.driver == \"gpu.example.com\""), "gpu.example.com");
  EXPECT_EQ(DriverOfSelector(" device.driver=='d' && device.attributes[\"d\"].x == 1"), "d");
  EXPECT_EQ(DriverOfSelector("device.allowMultipleAllocations &&\n  (device.driver == \"d\")"),
            "d");
  EXPECT_EQ(
      DriverOfSelector("device.driver == \"d\" && device.attributes[\"d\"].?x.orValue(1) > 0"),
      "d");
}

TEST(EligibilityTest, AComparisonThatNeedNotHoldSaysNothing) {
  for (const char* const expression :
       {"", "true", "device.driver != \"d\"", "device.driver.startsWith(\"d\")",
        "!(device.driver == \"d\")", "device.driver == \"a\" || device.driver == \"b\"",
        "x ? device.driver == \"a\" : true", "[1].exists(i, device.driver == \"a\")",
        "device.driver == \"a\\x62\"", "device.driver == \"d", "device.driver == name"}) {
    EXPECT_EQ(DriverOfSelector(expression), std::nullopt) << expression;
  }
}

TEST(EligibilityTest, RequestThenClassThenOurName) {
  ClusterFacts cluster = FakeCluster({}, {});
  cluster.classes =
      std::vector<ClassFacts>{{.name = "c", .selectors = {"device.driver == \"of-class\""}}};
  EXPECT_EQ(DriverOfRequest({.device_class = "c"}, cluster), "of-class");
  EXPECT_EQ(
      DriverOfRequest({.device_class = "c", .selectors = {"device.driver == \"r\""}}, cluster),
      "r");
  EXPECT_EQ(DriverOfRequest({.device_class = dra::kDriverName}, cluster), dra::kDriverName);
  EXPECT_EQ(DriverOfRequest({.device_class = "unknown"}, cluster), "");
}

TEST(EligibilityTest, NothingFromPoolsThatAreNotWhole) {
  domain::ResourceSlice slice = FakeSlice("n1", 1);
  slice.pool_slices = 2;
  const ClusterFacts cluster = FakeCluster({slice, FakeSlice("n2", 1)}, {});
  const domain::DevicePools pools = domain::CollectDevices(*cluster.slices, {});
  const domain::Eligible eligible = EligibleIn(cluster, pools);
  const domain::DeviceRequest request = FakeRequest("gpu", 1, 1);
  EXPECT_FALSE(eligible(request, pools.devices[0]));
  EXPECT_TRUE(eligible(request, pools.devices[1]));
}

}  // namespace
}  // namespace hami::explain
