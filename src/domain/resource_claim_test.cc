// SPDX-License-Identifier: Apache-2.0

#include "domain/resource_claim.h"

#include <gtest/gtest.h>

#include <string>

#include "json/value.h"

namespace hami::domain {
namespace {

constexpr char kClaim[] = R"({
  "metadata": {"name": "gpu-half-claim", "namespace": "default", "uid": "u1"},
  "spec": {"devices": {"requests": [
    {"name": "gpu", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1,
      "capacity": {"requests": {"cores": "50", "memory": "10Gi"}},
      "selectors": [{"cel": {"expression": "true"}}]}},
    {"name": "any", "firstAvailable": [{"name": "big", "deviceClassName": "c"},
                                       {"name": "small", "deviceClassName": "c", "count": 2}]}]}},
  "status": {
    "allocation": {"devices": {
      "results": [{"request": "gpu", "driver": "d", "pool": "n1", "device": "hami-gpu-0",
                   "shareID": "s1", "consumedCapacity": {"cores": "50", "memory": "10Gi"}}],
      "config": [{"source": "FromClass", "opaque": {"driver": "d", "parameters": {"a": 1}}},
                 {"source": "FromClaim", "requests": ["any/big"], "opaque": {"driver": "d",
                  "parameters": {"b": 2}}}]}},
    "reservedFor": [{"resource": "pods", "name": "p", "uid": "pu"}]}})";

TEST(ResourceClaimTest, ReadsWhatWasAskedAndGiven) {
  json::Document document;
  ASSERT_TRUE(document.Parse(kClaim));
  const Result<ResourceClaim> claim = ReadResourceClaim(document.root());
  ASSERT_TRUE(claim) << claim.error().message;
  EXPECT_EQ(claim->name, "gpu-half-claim");
  EXPECT_EQ(claim->namespace_name, "default");
  EXPECT_FALSE(claim->deleted);
  ASSERT_EQ(claim->requests.size(), 3U);
  EXPECT_EQ(claim->requests[0].capacity.at("memory"), 10737418240);
  EXPECT_EQ(claim->requests[0].selectors, std::vector<std::string>{"true"});
  EXPECT_EQ(claim->requests[2].name, "any/small");
  EXPECT_EQ(claim->requests[2].count, 2);
  ASSERT_TRUE(claim->allocated);
  ASSERT_EQ(claim->results.size(), 1U);
  EXPECT_EQ(claim->results[0].share_id, "s1");
  EXPECT_EQ(claim->results[0].consumed.at("cores"), 50);
  ASSERT_EQ(claim->configs.size(), 2U);
  EXPECT_TRUE(claim->configs[0].from_class);
  EXPECT_EQ(claim->configs[0].parameters, R"({"a":1})");
  ASSERT_EQ(claim->reserved_for.size(), 1U);
  EXPECT_EQ(claim->reserved_for[0].uid, "pu");
}

TEST(ResourceClaimTest, ANewClaimHasNoAllocation) {
  json::Document document;
  ASSERT_TRUE(document.Parse(R"({"metadata":{"name":"c","deletionTimestamp":"now"},"spec":{}})"));
  const Result<ResourceClaim> claim = ReadResourceClaim(document.root());
  ASSERT_TRUE(claim) << claim.error().message;
  EXPECT_FALSE(claim->allocated);
  EXPECT_TRUE(claim->deleted);
}

// Contract: entries apply when `requests` is empty, or names the request, its base or itself.
TEST(ResourceClaimTest, ConfigAppliesByName) {
  EXPECT_TRUE(OpaqueConfig().AppliesTo("gpu"));
  EXPECT_TRUE(OpaqueConfig{.requests = {"gpu"}}.AppliesTo("gpu"));
  EXPECT_TRUE(OpaqueConfig{.requests = {"any"}}.AppliesTo("any/big"));
  EXPECT_TRUE(OpaqueConfig{.requests = {"any/big"}}.AppliesTo("any/big"));
  EXPECT_FALSE(OpaqueConfig{.requests = {"any/small"}}.AppliesTo("any/big"));
  EXPECT_FALSE(OpaqueConfig{.requests = {"gpu"}}.AppliesTo("any"));
}

}  // namespace
}  // namespace hami::domain
