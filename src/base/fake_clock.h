// SPDX-License-Identifier: Apache-2.0
//
// A clock that a test moves by hand. One thread.

#pragma once

#include "base/clock.h"

namespace hami::base {

class FakeClock : public Clock {
 public:
  int64_t MonotonicNs() const override { return now_ns_; }
  int64_t WallNs() const override { return now_ns_; }
  void Advance(int64_t ns) { now_ns_ += ns; }

 private:
  int64_t now_ns_ = 1'000'000'000'000;
};

}  // namespace hami::base
