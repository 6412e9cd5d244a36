// SPDX-License-Identifier: Apache-2.0

#include "simctl/libraries.h"

#include <gtest/gtest.h>

namespace hami::simctl {
namespace {

TEST(ChooseFlavourTest, IsTheNewestThatTheDriverWouldHave) {
  const std::vector<int> branches = {615, 520, 580, 550};
  EXPECT_EQ(ChooseFlavour(branches, 550), 550);
  EXPECT_EQ(ChooseFlavour(branches, 575), 550);
  EXPECT_EQ(ChooseFlavour(branches, 580), 580);
  EXPECT_EQ(ChooseFlavour(branches, 700), 615);
}

TEST(ChooseFlavourTest, OlderDriversGetTheOldestSetThereIs) {
  EXPECT_EQ(ChooseFlavour({550, 520}, 440), 520);
}

}  // namespace
}  // namespace hami::simctl
