// SPDX-License-Identifier: Apache-2.0

#include "simctl/builtin_profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simgpu/profile/expand.h"

namespace hami::simctl {
namespace {

TEST(BuiltinProfilesTest, AllLoadUnderTheirName) {
  std::vector<std::string_view> names;
  for (const BuiltinProfile& builtin : BuiltinProfiles()) {
    names.push_back(builtin.name);
    const Result<simgpu::Profile> profile = LoadBuiltinProfile(builtin.name);
    ASSERT_TRUE(profile.has_value()) << profile.error().message;
    EXPECT_EQ(profile->name, builtin.name);
    EXPECT_TRUE(simgpu::ExpandDevices(*profile, "default").has_value());
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"a10-550", "a10-580", "h200-580", "t4-440"}));
}

TEST(BuiltinProfilesTest, AnUnknownNameListsTheOthers) {
  const Result<simgpu::Profile> profile = LoadBuiltinProfile("b300");
  ASSERT_FALSE(profile.has_value());
  EXPECT_EQ(profile.error().code, Code::kNotFound);
  EXPECT_THAT(profile.error().message, testing::HasSubstr("a10-550"));
}

}  // namespace
}  // namespace hami::simctl
