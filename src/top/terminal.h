// SPDX-License-Identifier: Apache-2.0
//
// The terminal as a screen of lines with keys that come one by one. Whatever is changed of it is
// put back by Leave, by the destructor, and before a signal ends or stops the process: the loop
// (live.h) gets signals as data. One object at a time.

#pragma once

#include <termios.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "top/session.h"
#include "top/text.h"

namespace hami::top {

// Whether both descriptors are terminals that can be drawn on. `term`: $TERM, or nullptr.
bool CanDraw(int input, int output, const char* term);

// The terminal's own figure, 80 by 24 where it has none.
ScreenSize SizeOf(int output);

// What draws the lines over whatever is there, without flicker.
std::string FrameOf(const std::vector<Line>& lines);

class Terminal {
 public:
  Terminal(int input, int output) : input_(input), output_(output) {}
  ~Terminal() { Leave(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Status Enter();
  void Leave();

  Status Draw(const std::vector<Line>& lines) const;

  // What has been typed; "" at the terminal's end.
  Result<std::string> Read() const;

  int input() const { return input_; }
  ScreenSize size() const { return SizeOf(output_); }

 private:
  int input_;
  int output_;
  bool entered_ = false;
  termios before_ = {};
};

}  // namespace hami::top
