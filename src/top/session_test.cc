// SPDX-License-Identifier: Apache-2.0

#include "top/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TopSessionTest : public ::testing::Test {
 protected:
  Wish Type(std::string_view text) {
    Wish wish = Wish::kNothing;
    for (const Key& key : KeysOf(text)) wish = session_.Press(key);
    return wish;
  }
  std::string Screen(ScreenSize size = {.columns = 120, .rows = 40}) {
    std::string text;
    for (const Line& line : session_.Screen(FakeSnapshot(), size)) text += line.text + "\n";
    return text;
  }

  Session session_{Options{}};
};

TEST_F(TopSessionTest, Wishes) {
  EXPECT_EQ(Type("q"), Wish::kQuit);
  EXPECT_EQ(Type(" "), Wish::kLook);
  EXPECT_EQ(Type("m"), Wish::kNothing);
}

TEST_F(TopSessionTest, SortsAndShowsIt) {
  EXPECT_THAT(Screen(), Not(HasSubstr("by ")));
  Type("m");
  EXPECT_THAT(Screen(), HasSubstr("; by memory"));
  const std::string screen = Screen();
  EXPECT_LT(screen.find("train"), screen.find("team-a/web"));
  Type("r");
  EXPECT_THAT(Screen(), HasSubstr("by memory, reversed"));
  Type("rg");
  EXPECT_THAT(Screen(), Not(HasSubstr("by ")));
}

TEST_F(TopSessionTest, Filters) {
  Type("/slice=trq");
  EXPECT_THAT(Screen(), HasSubstr("filter: slice=trq_"));
  Type("\x7f\r");
  EXPECT_THAT(Screen(), HasSubstr("; filter slice=tr"));
  EXPECT_THAT(Screen(), Not(HasSubstr("team-a/web")));
  Type("/x\x1b");
  EXPECT_THAT(Screen(), HasSubstr("; filter slice=tr\n"));
  Type("\\");
  EXPECT_THAT(Screen(), HasSubstr("team-a/web"));
}

TEST_F(TopSessionTest, AWrongFilterStaysToBeMended) {
  Type("/colour=red\r");
  EXPECT_THAT(Screen({.columns = 200, .rows = 40}), HasSubstr("not \"colour=red\")  filter:"));
  EXPECT_THAT(Screen({.columns = 30, .rows = 40}), HasSubstr("filter: colour=red_"));
  Type("\x1b");
  EXPECT_THAT(Screen(), HasSubstr("team-a/web"));
}

TEST_F(TopSessionTest, ScrollsNoFurtherThanThePage) {
  const ScreenSize small = {.columns = 100, .rows = 6};
  EXPECT_THAT(Screen(small), HasSubstr("hami top:"));
  EXPECT_THAT(Screen(small), HasSubstr("1-5 of "));
  Type("\x1b[B");
  EXPECT_THAT(Screen(small), Not(HasSubstr("hami top:")));
  Type("\x1b[A");
  EXPECT_THAT(Screen(small), HasSubstr("hami top:"));
  Type("\x1b[F");
  EXPECT_THAT(Screen(small), HasSubstr("nginx"));
  Type("\x1b[6~");
  EXPECT_THAT(Screen(small), HasSubstr("nginx"));
  Type("\x1b[5~");
  EXPECT_THAT(Screen(small), Not(HasSubstr("nginx")));
  Type("\x1b[H");
  EXPECT_THAT(Screen(small), HasSubstr("hami top:"));
}

TEST_F(TopSessionTest, FitsEverySize) {
  for (size_t columns = 1; columns < 60; columns += 7) {
    for (size_t rows = 1; rows < 30; rows += 3) {
      const std::vector<Line> screen = session_.Screen(FakeSnapshot(), {columns, rows});
      EXPECT_LE(screen.size(), std::max<size_t>(rows, 2));
      for (const Line& line : screen) EXPECT_LE(line.text.size(), columns);
    }
  }
}

TEST_F(TopSessionTest, HelpAndProcesses) {
  Type("h");
  EXPECT_THAT(Screen(), HasSubstr("THROTTLED"));
  EXPECT_THAT(Screen(), Not(HasSubstr("team-a/web")));
  Type("m");
  EXPECT_THAT(Screen(), Not(HasSubstr("by memory")));
  Type("p");
  EXPECT_THAT(Screen(), Not(HasSubstr("nginx")));
  Type("h");
  EXPECT_EQ(Type("q"), Wish::kQuit);
}

}  // namespace
}  // namespace hami::top
