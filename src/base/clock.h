// SPDX-License-Identifier: Apache-2.0
//
// Time as a value that is passed in, so that nothing has to sleep to be tested. Implementations may
// be called from any thread.

#pragma once

#include <cstdint>

namespace hami::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t MonotonicNs() const = 0;  // for intervals; starts anywhere
  virtual int64_t WallNs() const = 0;       // since 1970, for people and files
};

const Clock& SystemClock();

}  // namespace hami::base
