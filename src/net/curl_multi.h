// SPDX-License-Identifier: Apache-2.0
//
// Inside net: one libcurl multi handle, that is one set of connections, driven by an IoThread. All
// calls on that thread. libcurl's handles are void* here so that its header stays in .cc files.

#pragma once

#include <cstddef>
#include <functional>

#include "net/io_thread.h"

namespace hami::net {

class CurlMulti {
 public:
  // `done(easy, code)` with a CURLcode: the handle is already removed, and any call may be made.
  CurlMulti(IoThread& thread, std::function<void(void* easy, int code)> done);
  ~CurlMulti();  // no handle is left in it
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  // Not from within a handler that libcurl calls.
  void Add(void* easy);
  void Remove(void* easy);

  size_t size() const { return size_; }

 private:
  friend struct CurlMultiCallbacks;

  void Act(int fd, int events);
  void TakeFinished();
  void WatchSocket(int fd, int what);
  void SetTimer(long timeout_ms);

  IoThread& thread_;
  const std::function<void(void*, int)> done_;
  void* const multi_;
  IoThread::TimerId timer_ = 0;
  size_t size_ = 0;
};

}  // namespace hami::net
