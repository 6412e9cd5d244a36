// SPDX-License-Identifier: Apache-2.0

#include "top/plain_text.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "top/process_name.h"

namespace hami::top {
namespace {

TEST(TopPlainTextTest, NothingMovesACursor) {
  EXPECT_EQ(PlainText("a\x1b[2Jb\r\n\x9b"
                      "c\xff",
                      100),
            "a?[2Jb???c?");
  EXPECT_EQ(PlainText("abcdef", 6), "abcdef");
  EXPECT_EQ(PlainText("abcdefg", 6), "abc...");
  EXPECT_EQ(PlainText("abcdefg", 2), "ab");
}

TEST(TopProcessNameTest, OurOwn) {
  EXPECT_NE(ProcessName(getpid()).find("top_test"), std::string::npos);
  EXPECT_EQ(ProcessName(-1), "");
}

}  // namespace
}  // namespace hami::top
