// SPDX-License-Identifier: Apache-2.0
//
// What the extender asks before it decides or binds. Any thread.

#pragma once

#include <cstdint>
#include <string>

namespace hami::extender {

// The longest that a write of a leader may be under way, whatever its Lease has left.
inline constexpr int64_t kLongestWriteMs = 5'000;

class Leadership {
 public:
  virtual ~Leadership() = default;
  // How long this replica may go on deciding and binding, for certain; 0: it may not.
  virtual int64_t LeftMs() const = 0;
  // The same, after waiting for it where it is about to come: a kube-scheduler that has just got
  // its Lease asks at once, and lets a pod that is refused rest for a second.
  virtual int64_t AwaitMs() const { return LeftMs(); }
  virtual std::string Describe() const = 0;  // why not, for people
};

}  // namespace hami::extender
