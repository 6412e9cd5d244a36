// SPDX-License-Identifier: Apache-2.0

#include "base/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::base {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ArgumentsTest, TheProgramIsNone) {
  char program[] = "hami";
  char first[] = "run";
  char* argv[] = {program, first, nullptr};
  EXPECT_THAT(Arguments(2, argv), ElementsAre("run"));
  EXPECT_THAT(Arguments(1, argv), IsEmpty());
  EXPECT_THAT(Arguments(0, argv), IsEmpty());
}

TEST(ArgumentsTest, LastFirstAndEmptyValuesOfTheirOwn) {
  EXPECT_THAT(ReverseArguments({"--a=1", "--b=", "--c", "d", "-e=", "--f=g="}),
              ElementsAre("--f=g=", "-e=", "d", "--c", "", "--b", "--a=1"));
  EXPECT_THAT(ReverseArguments({}), IsEmpty());
}

}  // namespace
}  // namespace hami::base
