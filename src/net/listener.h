// SPDX-License-Identifier: Apache-2.0
//
// A TCP port that is listened on. One thread at a time, but port().

#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace hami::net {

class Listener {
 public:
  // Port 0: any free one. kInvalidArgument: `address` is none; kAlreadyExists: the port is in use.
  Status Open(const std::string& address, uint16_t port);

  uint16_t port() const { return port_; }
  int fd() const { return fd_.get(); }

  // The next connection, which does not block; an invalid one: nobody waits, or the port is closed.
  Result<base::Fd> Accept();

  // Whoever waits in the kernel's queue is sent away.
  void Close();

 private:
  base::Fd fd_;
  uint16_t port_ = 0;
};

}  // namespace hami::net
