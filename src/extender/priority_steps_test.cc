// SPDX-License-Identifier: Apache-2.0

#include "extender/priority_steps.h"

#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

namespace hami::extender {
namespace {

TEST(SpreadOverStepsTest, ElevenStepsInProportion) {
  std::vector<std::pair<std::string_view, int64_t>> priorities = {
      {"a", 0}, {"b", 0}, {"c", 0}, {"d", 7}};
  SpreadOverSteps({{"a", 10.0}, {"b", 20.0}, {"c", 15.4}}, &priorities);
  EXPECT_EQ(priorities[0].second, 0);
  EXPECT_EQ(priorities[1].second, 10);
  EXPECT_EQ(priorities[2].second, 5);
  EXPECT_EQ(priorities[3].second, 7);  // no score: as it was
  SpreadOverSteps({{"a", 3.0}, {"b", 3.0}}, &priorities);
  EXPECT_EQ(priorities[0].second, 10);
  EXPECT_EQ(priorities[1].second, 10);
}

}  // namespace
}  // namespace hami::extender
