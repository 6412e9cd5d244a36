// SPDX-License-Identifier: Apache-2.0

#include "net/deadline_timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"

namespace hami::net {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

}  // namespace

Status DeadlineTimer::Open() {
  fd_.Reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd_.valid()) return FailErrno("make a timer");
  return {};
}

void DeadlineTimer::NotLaterThan(int64_t deadline_ns) {
  if (deadline_ns >= next_ns_) return;
  const std::lock_guard lock(mutex_);
  if (deadline_ns >= next_ns_) return;
  next_ns_ = deadline_ns;
  itimerspec when = {};
  when.it_value.tv_sec = deadline_ns / kSecondNs;
  when.it_value.tv_nsec = deadline_ns % kSecondNs;
  CHECK(::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0);
}

void DeadlineTimer::Expired() {
  const std::lock_guard lock(mutex_);
  uint64_t times = 0;
  (void)!::read(fd_.get(), &times, sizeof(times));
  next_ns_ = kNoDeadline;
}

}  // namespace hami::net
