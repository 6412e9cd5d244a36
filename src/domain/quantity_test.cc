// SPDX-License-Identifier: Apache-2.0

#include "domain/quantity.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace hami::domain {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

struct Case {
  const char* text;
  int64_t value;
};

class ReadsQuantity : public testing::TestWithParam<Case> {};

TEST_P(ReadsQuantity, AsTheApiServerDoes) {
  const Result<int64_t> value = ParseQuantity(GetParam().text);
  ASSERT_TRUE(value) << GetParam().text;
  EXPECT_EQ(*value, GetParam().value) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Forms, ReadsQuantity,
    testing::Values(Case{"0", 0}, Case{"50", 50}, Case{"10Gi", 10737418240},
                    Case{"1500000000", 1500000000}, Case{"23028Mi", 24146608128},
                    Case{"0.5Gi", 536870912}, Case{"1e3", 1000}, Case{"1E3", 1000},
                    Case{"1E", 1000000000000000000}, Case{"1.5k", 1500}, Case{"100m", 1},
                    Case{"1000m", 1}, Case{"1001m", 2}, Case{"1n", 1}, Case{".5", 1}, Case{"5.", 5},
                    Case{"+3", 3}, Case{"-3", -3}, Case{"1e-3", 1}, Case{"8Ei", kMost},
                    Case{"7Ei", 8070450532247928832}, Case{"1Pi", 1125899906842624},
                    Case{"99999999999999999999999999999999", kMost}, Case{"1e40", kMost},
                    Case{"0.00000000000000000000000000000000001", 1},
                    Case{"0.3333333333333333333333333333Ei", 384307168202282326},
                    Case{"000007", 7}));

TEST(QuantityTest, RefusesWhatIsNone) {
  for (const char* text : {"", "Gi", "10 Gi", "10gb", "10GiB", "1.2.3", "e3", "1e", "1e+", "--1",
                           "1Kii", "0x10", "1e9999", "10K"}) {
    EXPECT_FALSE(ParseQuantity(text)) << text;
  }
}

TEST(QuantityTest, Thousandths) {
  const struct {
    const char* text;
    int64_t milli;
  } kCases[] = {{"2", 2000},      {"500m", 500},    {"100u", 1},   {"0.1", 100},
                {"1.0005", 1001}, {"1Ki", 1024000}, {"-2", -2000}, {"1e30", kMost}};
  for (const auto& item : kCases) {
    EXPECT_EQ(ParseMilliQuantity(item.text).value(), item.milli) << item.text;
  }
  EXPECT_FALSE(ParseMilliQuantity("two"));
}

TEST(QuantityTest, WritesTheLargestSuffixWithoutAFraction) {
  EXPECT_EQ(FormatBinaryQuantity(24146608128), "23028Mi");
  EXPECT_EQ(FormatBinaryQuantity(10737418240), "10Gi");
  EXPECT_EQ(FormatBinaryQuantity(1500512256), "1431Mi");
  EXPECT_EQ(FormatBinaryQuantity(0), "0");
  EXPECT_EQ(FormatBinaryQuantity(1023), "1023");
  EXPECT_EQ(FormatDecimalQuantity(100), "100");
  EXPECT_EQ(FormatDecimalQuantity(2000), "2k");
}

}  // namespace
}  // namespace hami::domain
