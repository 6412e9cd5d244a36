// SPDX-License-Identifier: Apache-2.0
//
// Death at every instruction: a child runs a piece of code under ptrace, is stepped through its
// first n instructions and then killed; for every n until the code is through.

#pragma once

#include <functional>

namespace hami::component {

struct Victim {
  std::function<void()> set_up;  // in the child, before the first step
  std::function<void()> body;    // in the child, stepped
};

// For n = 0, stride, 2*stride ...: forks a child, kills it with SIGKILL after n instructions of its
// body, waits for it and calls `check(n)`. Ends after the first n for which the body came to its
// end; returns how many deaths there were. A child that ends with a code other than 0 aborts the
// test.
long KillAtEveryInstruction(const Victim& victim, const std::function<void(long)>& check,
                            long stride = 1);

}  // namespace hami::component
