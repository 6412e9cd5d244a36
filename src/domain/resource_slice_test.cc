// SPDX-License-Identifier: Apache-2.0

#include "domain/resource_slice.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "json/value.h"

namespace hami::domain {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

Result<ResourceSlice> Read(const std::string& text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  return ReadResourceSlice(document.root());
}

Capacity Cores() {
  return {.value = 100,
          .policy =
              RequestPolicy{.default_value = 0,
                            .valid_range = RequestPolicy::Range{.min = 0, .max = 100, .step = 1}}};
}

Capacity Memory() {
  return {.value = 23028 * kMib,
          .binary = true,
          .policy = RequestPolicy{
              .default_value = 23028 * kMib,
              .valid_range = RequestPolicy::Range{.min = kMib, .max = 23028 * kMib, .step = kMib}}};
}

ResourceSlice OneGpu() {
  ResourceSlice slice;
  slice.driver = "gpu.example.org";
  slice.node_name = "n1";
  slice.pool_name = "n1";
  slice.pool_generation = 3;
  slice.devices = {{.name = "hami-gpu-0",
                    .shareable = true,
                    .attributes = {{"minor", int64_t{0}},
                                   {"healthy", true},
                                   {"productName", std::string("NVIDIA A10")},
                                   {"driverVersion", Semver{"550.144.3"}}},
                    .capacity = {{"cores", Cores()}, {"memory", Memory()}}}};
  return slice;
}

TEST(ResourceSliceTest, WhatIsWrittenIsRead) {
  const Result<ResourceSlice> read = Read(WriteResourceSlice(OneGpu(), {"n1", "uid-1"}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->driver, "gpu.example.org");
  EXPECT_EQ(read->node_name, "n1");
  EXPECT_EQ(read->pool_name, "n1");
  EXPECT_EQ(read->pool_generation, 3);
  EXPECT_EQ(read->pool_slices, 1);
  EXPECT_EQ(read->devices, OneGpu().devices);
}

TEST(ResourceSliceTest, QuantitiesAreWrittenAsTheServerPrintsThem) {
  const std::string text = WriteResourceSlice(OneGpu(), {"n1", "uid-1"});
  EXPECT_NE(text.find(R"("memory":{"value":"23028Mi","requestPolicy":{"default":"23028Mi",)"
                      R"("validRange":{"min":"1Mi","max":"23028Mi","step":"1Mi"}}})"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("generateName":"n1-gpu.example.org-")"), std::string::npos) << text;
}

TEST(ResourceSliceTest, TheDriversOwnDomainIsLeftOut) {
  const Result<ResourceSlice> read = Read(
      R"({"spec":{"driver":"d.org","devices":[{"name":"a",
          "capacity":{"d.org/memory":{"value":"1Gi"}},
          "attributes":{"d.org/minor":{"int":4},"other.org/x":{"string":"y"}}}]}})");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->devices[0].capacity.at("memory").value, 1024 * kMib);
  EXPECT_EQ(read->devices[0].attributes.at("minor"), Attribute(int64_t{4}));
  EXPECT_TRUE(read->devices[0].attributes.contains("other.org/x"));
}

TEST(ResourceSliceTest, ABadQuantityIsNamed) {
  const Result<ResourceSlice> read = Read(
      R"({"metadata":{"name":"s1"},"spec":{"driver":"d","devices":[{"name":"a",
          "capacity":{"memory":{"value":"lots"}}}]}})");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("s1"), std::string::npos);
  EXPECT_NE(read.error().message.find("lots"), std::string::npos);
}

// The figures are those that a 1.36 scheduler was seen to write.
TEST(ChargeTest, FollowsThePolicy) {
  EXPECT_EQ(ChargeFor(Memory(), 1'500'000'000), 1431 * kMib);
  EXPECT_EQ(ChargeFor(Memory(), std::nullopt), 23028 * kMib);
  EXPECT_EQ(ChargeFor(Memory(), 1), kMib);
  EXPECT_EQ(ChargeFor(Memory(), 23029 * kMib), std::nullopt);
  EXPECT_EQ(ChargeFor(Cores(), std::nullopt), 0);
  EXPECT_EQ(ChargeFor(Cores(), 50), 50);
  EXPECT_EQ(ChargeFor(Cores(), 101), std::nullopt);
  EXPECT_EQ(ChargeFor({.value = 8}, std::nullopt), 8);
  EXPECT_EQ(ChargeFor({.value = 8}, 3), 3);
  const Capacity steps = {.value = 8,
                          .policy = RequestPolicy{.default_value = 1, .valid_values = {1, 2, 4}}};
  EXPECT_EQ(ChargeFor(steps, 3), 4);
  EXPECT_EQ(ChargeFor(steps, 5), std::nullopt);
}

}  // namespace
}  // namespace hami::domain
