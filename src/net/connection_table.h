// SPDX-License-Identifier: Apache-2.0
//
// The connections of an HTTP server. A connection is there from Add to Remove, which its owner of
// that moment calls; all else may be called by any thread.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "net/server_connection.h"

namespace hami::net {

class ConnectionTable {
 public:
  void Add(std::unique_ptr<ServerConnection> connection);
  void Remove(ServerConnection* connection);

  // For one more, so that there are `most` at the end: so that nobody keeps others out by holding
  // connections, the one that has waited longest for its peer ends. False: all have work to do.
  bool MakeRoom(size_t most);

  // Those whose time is over end. The earliest deadline of the others.
  int64_t EndOverdue(int64_t now_ns);

  void EndIdle();
  void EndAll();
  // Until none is there, or the time is over.
  void AwaitNone(int64_t timeout_ms);
  void AwaitNone();

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::vector<std::unique_ptr<ServerConnection>> connections_;
};

}  // namespace hami::net
