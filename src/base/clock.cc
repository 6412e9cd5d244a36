// SPDX-License-Identifier: Apache-2.0

#include "base/clock.h"

#include <ctime>

namespace hami::base {
namespace {

class KernelClock : public Clock {
 public:
  int64_t MonotonicNs() const override { return Read(CLOCK_MONOTONIC); }
  int64_t WallNs() const override { return Read(CLOCK_REALTIME); }

 private:
  static int64_t Read(clockid_t id) {
    timespec now = {};
    clock_gettime(id, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }
};

}  // namespace

const Clock& SystemClock() {
  static const KernelClock clock;
  return clock;
}

}  // namespace hami::base
