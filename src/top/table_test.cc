// SPDX-License-Identifier: Apache-2.0

#include "top/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::top {
namespace {

using ::testing::ElementsAre;

Table MakeTable() {
  Table table({{.title = "ID", .right = true},
               {.title = "NAME", .flexible = true},
               {.title = "LESS", .rank = 1},
               {.title = "LEAST", .right = true, .rank = 2}});
  table.Add({"1", "a short name", "x", "10"});
  table.Add({"22", "a very much longer name", "yy", "7"});
  return table;
}

TEST(TopTableTest, AllFits) {
  EXPECT_THAT(MakeTable().Lines(80), ElementsAre("ID  NAME                     LESS  LEAST",
                                                 " 1  a short name             x        10",
                                                 "22  a very much longer name  yy        7"));
}

TEST(TopTableTest, TheFlexibleColumnGivesWay) {
  EXPECT_THAT(MakeTable().Lines(30),
              ElementsAre("ID  NAME           LESS  LEAST", " 1  a short name   x        10",
                          "22  a very much ~  yy        7"));
}

TEST(TopTableTest, ThenTheLeastImportantOnes) {
  EXPECT_THAT(MakeTable().Lines(20),
              ElementsAre("ID  NAME        LESS", " 1  a short n~  x", "22  a very mu~  yy"));
  EXPECT_THAT(MakeTable().Lines(12), ElementsAre("ID  NAME", " 1  a short~", "22  a very ~"));
}

TEST(TopTableTest, NoLineIsEverLonger) {
  for (size_t width = 1; width < 60; ++width) {
    for (const std::string& line : MakeTable().Lines(width)) EXPECT_LE(line.size(), width);
  }
}

TEST(TopTableTest, Cut) {
  EXPECT_EQ(Cut("abc", 3), "abc");
  EXPECT_EQ(Cut("abcd", 3), "ab~");
  EXPECT_EQ(Cut("abcd", 0), "");
}

}  // namespace
}  // namespace hami::top
