// SPDX-License-Identifier: Apache-2.0
//
// What the extender asks before it decides or binds. Any thread.

#pragma once

#include <cstdint>
#include <string>

namespace hami::extender {

class Leadership {
 public:
  virtual ~Leadership() = default;
  // How long this replica may go on deciding and binding, for certain; 0: it may not.
  virtual int64_t LeftMs() const = 0;
  virtual std::string Describe() const = 0;  // why not, for people
};

}  // namespace hami::extender
