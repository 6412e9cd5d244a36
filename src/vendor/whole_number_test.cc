// SPDX-License-Identifier: Apache-2.0

#include "vendor/whole_number.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace hami::vendor {
namespace {

TEST(WholeNumber, ReadsWhatIsWhole) {
  EXPECT_EQ(WholeNumber("0"), 0);
  EXPECT_EQ(WholeNumber("3000"), 3000);
  EXPECT_EQ(WholeNumber("3k"), 3000);
  EXPECT_EQ(WholeNumber("+7"), 7);
  EXPECT_EQ(WholeNumber("-7"), -7);
  EXPECT_EQ(WholeNumber("16Gi"), int64_t{16} << 30);
  EXPECT_EQ(WholeNumber("0.5Ki"), 512);
  EXPECT_EQ(WholeNumber("1.5k"), 1500);
  EXPECT_EQ(WholeNumber("2000m"), 2);
  EXPECT_EQ(WholeNumber("1e3"), 1000);
  EXPECT_EQ(WholeNumber("1E3"), 1000);
  EXPECT_EQ(WholeNumber("3000e-3"), 3);
  EXPECT_EQ(WholeNumber("1."), 1);
  EXPECT_EQ(WholeNumber(".0"), 0);
  EXPECT_EQ(WholeNumber("7E"), int64_t{7'000'000'000'000'000'000});
  EXPECT_EQ(WholeNumber("9223372036854775807"), std::numeric_limits<int64_t>::max());
}

TEST(WholeNumber, RefusesTheRest) {
  for (const char* text : {"",
                           "-",
                           ".",
                           "x",
                           "1x",
                           "1 ",
                           " 1",
                           "1ki",
                           "1KI",
                           "500m",
                           "1.5",
                           "1u",
                           "0.5",
                           "9223372036854775808",
                           "8Ei",
                           "1e40",
                           "1e",
                           "1e+",
                           "e3",
                           "--1",
                           "0x10",
                           "1e-3",
                           "99999999999999999999999999999999999999999999"}) {
    EXPECT_FALSE(WholeNumber(text)) << text;
  }
}

}  // namespace
}  // namespace hami::vendor
