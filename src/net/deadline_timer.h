// SPDX-License-Identifier: Apache-2.0
//
// Wakes an epoll when the earliest of many deadlines has come, without a list of them: who gets a
// deadline says so, and only one that is earlier than all known costs a call. Whoever is woken
// looks at all deadlines and says which is the next. Any thread.

#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>

#include "base/fd.h"
#include "base/result.h"

namespace hami::net {

// By the monotonic clock.
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

class DeadlineTimer {
 public:
  Status Open();
  // Readable (EPOLLIN) when the time has come; for EPOLLET.
  int fd() const { return fd_.get(); }

  // The deadline has to be where Expired's caller looks for it before this is called.
  void NotLaterThan(int64_t deadline_ns);

  // What was asked for is forgotten, and the caller looks at all deadlines now.
  void Expired();

 private:
  base::Fd fd_;
  std::mutex mutex_;
  std::atomic<int64_t> next_ns_{kNoDeadline};
};

}  // namespace hami::net
