// SPDX-License-Identifier: Apache-2.0

#include "share/limits_text.h"

#include <gtest/gtest.h>

#include <string>

#include "region/limits.h"

namespace hami::share {
namespace {

constexpr char kUuid[] = "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf";

region::DeviceLimit ReadBack(const SliceLimits& slice) {
  const std::string text = WriteLimits(slice);
  region::Limits limits = {};
  const region::LimitsError error = region::ParseLimits(text.data(), text.size(), &limits);
  EXPECT_EQ(error.what, nullptr) << error.what << " in line " << error.line << " of\n" << text;
  EXPECT_EQ(limits.device_count, 1);
  return limits.devices[0];
}

TEST(LimitsTextTest, TheTenantsParserReadsWhatWasGranted) {
  const region::DeviceLimit limit = ReadBack({.device_uuid = kUuid,
                                              .memory_bytes = 10'737'418'240,
                                              .cores_pct = 50,
                                              .policy = "force",
                                              .context_bytes = 268'435'456});
  EXPECT_STREQ(limit.uuid, kUuid);
  EXPECT_EQ(limit.memory_bytes, 10'737'418'240U);
  EXPECT_EQ(limit.cores_pct, 50U);
  EXPECT_EQ(limit.policy, region::CorePolicy::kForce);
  EXPECT_EQ(limit.context_bytes, 268'435'456U);
}

TEST(LimitsTextTest, EveryPolicyIsUnderstood) {
  SliceLimits slice = {.device_uuid = kUuid, .memory_bytes = 1};
  EXPECT_EQ(ReadBack(slice).policy, region::CorePolicy::kDefault);
  slice.policy = "disable";
  EXPECT_EQ(ReadBack(slice).policy, region::CorePolicy::kDisable);
}

TEST(LimitsTextTest, AnUnknownContextCostIsLeftOut) {
  EXPECT_EQ(ReadBack({.device_uuid = kUuid, .memory_bytes = 1}).context_bytes, 0U);
}

}  // namespace
}  // namespace hami::share
