// SPDX-License-Identifier: Apache-2.0

#include "region/limits.h"

#include <gtest/gtest.h>

#include <string>

namespace hami::region {
namespace {

constexpr char kGood[] =
    "hami-limits 1\n"
    "generation 7\n"
    "device GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf\n"
    "  memory 10737418240\n"
    "  cores 50\n"
    "  policy force\n"
    "  priority 0\n"
    "  context 268435456\n"
    "device GPU-00000000-0000-0000-0000-000000000002\n"
    "  memory 0\n"
    "end\n";

std::string ErrorOf(const std::string& text) {
  Limits limits;
  const LimitsError error = ParseLimits(text.data(), text.size(), &limits);
  return error.what == nullptr ? "" : std::to_string(error.line) + ": " + error.what;
}

TEST(Limits, ReadsEveryKey) {
  Limits limits;
  ASSERT_EQ(ParseLimits(kGood, sizeof(kGood) - 1, &limits).what, nullptr);
  EXPECT_EQ(limits.generation, 7U);
  ASSERT_EQ(limits.device_count, 2);
  const DeviceLimit& first = limits.devices[0];
  EXPECT_STREQ(first.uuid, "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf");
  EXPECT_EQ(first.memory_bytes, 10737418240U);
  EXPECT_EQ(first.cores_pct, 50U);
  EXPECT_EQ(first.policy, CorePolicy::kForce);
  EXPECT_EQ(first.priority, 0);
  EXPECT_EQ(first.context_bytes, 268435456U);
  const DeviceLimit& second = limits.devices[1];
  EXPECT_EQ(second.memory_bytes, 0U);
  EXPECT_EQ(second.cores_pct, 0U);
  EXPECT_EQ(second.priority, 1);
}

TEST(Limits, HundredPercentIsNoComputeLimit) {
  const std::string text = "hami-limits 1\ngeneration 1\ndevice GPU-1\nmemory 1\ncores 100\nend\n";
  Limits limits;
  ASSERT_EQ(ParseLimits(text.data(), text.size(), &limits).what, nullptr);
  EXPECT_EQ(limits.devices[0].cores_pct, 0U);
}

TEST(Limits, EveryPolicyIsRead) {
  constexpr struct {
    const char* name;
    CorePolicy policy;
  } kPolicies[] = {{"default", CorePolicy::kDefault},
                   {"force", CorePolicy::kForce},
                   {"disable", CorePolicy::kDisable},
                   {"burst", CorePolicy::kBurst}};
  for (const auto& [name, policy] : kPolicies) {
    const std::string text = std::string("hami-limits 1\ngeneration 1\ndevice GPU-1\nmemory 1\n") +
                             "policy " + name + "\nend\n";
    Limits limits;
    ASSERT_EQ(ParseLimits(text.data(), text.size(), &limits).what, nullptr) << name;
    EXPECT_EQ(limits.devices[0].policy, policy);
  }
}

// Whatever prefix of a good file a crash leaves behind must not be taken for a good one.
TEST(Limits, EveryTruncationIsNoticed) {
  const std::string good(kGood);
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_NE(ErrorOf(good.substr(0, length)), "") << "first " << length << " bytes";
  }
}

struct BadCase {
  const char* name;
  const char* body;  // after the first two lines
  const char* error;
};

class LimitsBad : public testing::TestWithParam<BadCase> {};

TEST_P(LimitsBad, IsRefusedWithItsLine) {
  EXPECT_EQ(ErrorOf(std::string("hami-limits 1\ngeneration 1\n") + GetParam().body),
            GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, LimitsBad,
    testing::Values(
        BadCase{"NoMemory", "device GPU-1\ncores 5\nend\n",
                "5: the device before this line has no `memory`"},
        BadCase{"NoMemoryBeforeNext", "device GPU-1\ndevice GPU-2\nmemory 1\nend\n",
                "4: the device before this line has no `memory`"},
        BadCase{"UnknownKey", "device GPU-1\nmemory 1\ncolour 3\nend\n", "5: unknown key"},
        BadCase{"Negative", "device GPU-1\nmemory -1\nend\n", "4: `memory` needs bytes, 0 to 2^48"},
        BadCase{"TooLarge", "device GPU-1\nmemory 281474976710657\nend\n",
                "4: `memory` needs bytes, 0 to 2^48"},
        BadCase{"OverflowingNumber", "device GPU-1\nmemory 99999999999999999999\nend\n",
                "4: `memory` needs bytes, 0 to 2^48"},
        BadCase{"CoresOver", "device GPU-1\nmemory 1\ncores 101\nend\n",
                "5: `cores` needs a percentage, 0 to 100"},
        BadCase{"Policy", "device GPU-1\nmemory 1\npolicy maybe\nend\n",
                "5: `policy` is default, force, disable or burst"},
        BadCase{"Twice", "device GPU-1\nmemory 1\ndevice GPU-1\nmemory 1\nend\n",
                "5: a device is named twice"},
        BadCase{"KeyFirst", "memory 1\nend\n", "3: a key before the first `device`"},
        BadCase{"AfterEnd", "device GPU-1\nmemory 1\nend\nmemory 2\n", "5: text after `end`"},
        BadCase{"ThreeWords", "device GPU-1 GPU-2\nend\n",
                "3: more than a key and a value on one line"},
        BadCase{"ControlByte", "device GPU-\x01\nend\n",
                "3: more than a key and a value on one line"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST(Limits, OtherFirstLines) {
  EXPECT_EQ(ErrorOf("hami-limits 2\ngeneration 1\nend\n"),
            "1: a format version this build does not know");
  EXPECT_EQ(ErrorOf("limits 1\n"), "1: not a limits file");
  EXPECT_EQ(ErrorOf("hami-limits 1\nend\n"), "2: no `generation`");
  EXPECT_EQ(ErrorOf("hami-limits 1\ngeneration 0\nend\n"),
            "2: `generation` needs a number above 0");
}

TEST(Limits, SeventeenDevicesAreTooMany) {
  std::string text = "hami-limits 1\ngeneration 1\n";
  for (int i = 0; i < 17; ++i) text += "device GPU-" + std::to_string(i) + "\nmemory 1\n";
  EXPECT_EQ(ErrorOf(text + "end\n"), "35: more than 16 devices");
}

TEST(Limits, AMissingFileIsAnError) {
  Limits limits;
  EXPECT_STREQ(LoadLimits("/nonexistent/limits", &limits).what, "cannot be read");
}

}  // namespace
}  // namespace hami::region
