// SPDX-License-Identifier: Apache-2.0
//
// Why the hook fails: one line for the pod's event. A function that takes a Failure returns false
// after it has set it; the first one counts.

#pragma once

#include <stdarg.h>
#include <stdio.h>

namespace hami::hook {

class Failure {
 public:
  // Always false: `return failure->Set("...")`.
  __attribute__((format(printf, 2, 3))) bool Set(const char* format, ...) {
    if (text_[0] != '\0') return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text_, sizeof(text_), format, arguments);
    va_end(arguments);
    // Names from the image may hold anything; the line must stay one.
    for (char* c = text_; *c != '\0'; ++c) {
      if (static_cast<unsigned char>(*c) < ' ' || *c == 0x7f) *c = '?';
    }
    return false;
  }

  bool is_set() const { return text_[0] != '\0'; }
  const char* text() const { return text_; }

 private:
  char text_[768] = {};
};

}  // namespace hami::hook
