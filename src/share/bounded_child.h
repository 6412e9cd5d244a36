// SPDX-License-Identifier: Apache-2.0
//
// Work that looks at what a tenant has made, in a child process that is given up when it takes too
// long: a file that the tenant's own server never answers for, a mapping that is cut under our
// feet. A child that even SIGKILL does not end at once (the kernel waits for somebody's answer) is
// left behind; as long as it is there its runner begins nothing more, so that there is never a
// second.
//
// Safe in a program with several threads, for work that takes no locks but those of malloc (which
// glibc makes usable after a fork) and starts no thread. A runner may be used by any thread.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <mutex>

#include "base/result.h"

namespace hami::share {

class ChildRunner {
 public:
  // What `work` returned, 0 to 127. kDataLoss: it was ended by a signal; kDeadlineExceeded: it was
  // given up; kUnavailable: an earlier one is still there.
  Result<int> Run(const std::function<int()>& work, std::chrono::milliseconds patience);

 private:
  bool IsOneLeftBehind();
  Error GiveUp(pid_t child);

  std::mutex mutex_;
  pid_t left_behind_ = 0;  // guarded by mutex_; 0: none
};

}  // namespace hami::share
