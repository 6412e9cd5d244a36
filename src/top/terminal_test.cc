// SPDX-License-Identifier: Apache-2.0

#include "top/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <string>

#include "base/fd.h"

namespace hami::top {
namespace {

class TopTerminalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ours = -1;
    int theirs = -1;
    winsize size = {};
    size.ws_row = 10;
    size.ws_col = 50;
    ASSERT_EQ(openpty(&ours, &theirs, nullptr, nullptr, &size), 0);
    ours_.Reset(ours);
    theirs_.Reset(theirs);
  }
  tcflag_t LocalFlags() const {
    termios settings = {};
    EXPECT_EQ(tcgetattr(theirs_.get(), &settings), 0);
    return settings.c_lflag;
  }

  base::Fd ours_;
  base::Fd theirs_;
};

TEST_F(TopTerminalTest, PutsBackWhatItChanges) {
  const tcflag_t before = LocalFlags();
  {
    Terminal terminal(theirs_.get(), theirs_.get());
    ASSERT_TRUE(terminal.Enter());
    EXPECT_EQ(LocalFlags() & (ICANON | ECHO), 0U);
    EXPECT_EQ(LocalFlags() & ISIG, before & ISIG);
    EXPECT_EQ(terminal.size().columns, 50U);
  }
  EXPECT_EQ(LocalFlags(), before);
  theirs_.Reset();  // then there is an end
  std::string text;
  char part[64];
  for (ssize_t got = 1; got > 0;) {
    got = read(ours_.get(), part, sizeof(part));
    if (got > 0) text.append(part, static_cast<size_t>(got));
  }
  EXPECT_LT(text.find("\x1b[?1049h"), text.find("\x1b[?1049l"));
  EXPECT_NE(text.find("\x1b[?25h"), std::string::npos);
}

TEST_F(TopTerminalTest, Keys) {
  Terminal terminal(theirs_.get(), theirs_.get());
  ASSERT_TRUE(terminal.Enter());
  ASSERT_EQ(write(ours_.get(), "m", 1), 1);
  EXPECT_EQ(*terminal.Read(), "m");
  ours_.Reset();
  EXPECT_EQ(*terminal.Read(), "");
}

TEST_F(TopTerminalTest, WhatCannotBeDrawnOn) {
  EXPECT_TRUE(CanDraw(theirs_.get(), theirs_.get(), "xterm"));
  EXPECT_FALSE(CanDraw(theirs_.get(), theirs_.get(), "dumb"));
  EXPECT_FALSE(CanDraw(theirs_.get(), theirs_.get(), nullptr));
  const base::Fd file(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(CanDraw(file.get(), theirs_.get(), "xterm"));
  EXPECT_FALSE(CanDraw(theirs_.get(), file.get(), "xterm"));
  EXPECT_EQ(SizeOf(file.get()).columns, 80U);
  Terminal terminal(file.get(), file.get());
  EXPECT_FALSE(terminal.Enter());
}

TEST(TopFrameTest, Lines) {
  EXPECT_EQ(FrameOf({{"a", LineKind::kHeads}, {"b"}}),
            "\x1b[H\x1b[7ma\x1b[0m\x1b[K\r\nb\x1b[0m\x1b[K\x1b[J");
}

}  // namespace
}  // namespace hami::top
