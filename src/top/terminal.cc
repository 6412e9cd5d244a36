// SPDX-License-Identifier: Apache-2.0

#include "top/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/file.h"

namespace hami::top {
namespace {

// ECMA-48, and the private modes that every terminal of today has: a screen of our own, no cursor,
// no wrapping.
constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr char kLeave[] = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr char kHome[] = "\x1b[H";
constexpr char kEndOfLine[] = "\x1b[0m\x1b[K";
constexpr char kEndOfScreen[] = "\x1b[J";

std::string_view StyleOf(LineKind kind) {
  switch (kind) {
    case LineKind::kTitle:
      return "\x1b[1m";
    case LineKind::kHeads:
      return "\x1b[7m";
    case LineKind::kAlarm:
      return "\x1b[1;31m";
    case LineKind::kPlain:
      break;
  }
  return "";
}

}  // namespace

bool CanDraw(int input, int output, const char* term) {
  return isatty(input) != 0 && isatty(output) != 0 && term != nullptr && *term != '\0' &&
         std::string_view(term) != "dumb";
}

ScreenSize SizeOf(int output) {
  winsize size = {};
  if (ioctl(output, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

std::string FrameOf(const std::vector<Line>& lines) {
  std::string frame = kHome;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) frame += "\r\n";
    frame += StyleOf(lines[i].kind);
    frame += lines[i].text;
    frame += kEndOfLine;
  }
  return frame + kEndOfScreen;
}

Status Terminal::Enter() {
  if (tcgetattr(input_, &before_) != 0) return FailErrno("ask for the terminal's settings");
  termios raw = before_;
  // Keys at once and unseen; those that make signals still do.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (tcsetattr(input_, TCSADRAIN, &raw) != 0) return FailErrno("set up the terminal");
  entered_ = true;
  return base::WriteAll(output_, kEnter);
}

void Terminal::Leave() {
  if (!entered_) return;
  entered_ = false;
  // In the background, too, where this would stop the process.
  sigset_t stop;
  sigset_t mask;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTTOU);
  sigprocmask(SIG_BLOCK, &stop, &mask);
  static_cast<void>(base::WriteAll(output_, kLeave));
  tcsetattr(input_, TCSADRAIN, &before_);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
}

Status Terminal::Draw(const std::vector<Line>& lines) const {
  return base::WriteAll(output_, FrameOf(lines));
}

Result<std::string> Terminal::Read() const {
  char bytes[256];
  const ssize_t got = read(input_, bytes, sizeof(bytes));
  if (got >= 0) return std::string(bytes, static_cast<size_t>(got));
  if (errno == EIO) return std::string();  // the other end is gone
  return FailErrno("read from the terminal");
}

}  // namespace hami::top
