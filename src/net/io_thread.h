// SPDX-License-Identifier: Apache-2.0
//
// One thread that waits for descriptors, timers and tasks. Everything it calls runs on that thread,
// one at a time, so what lives on it needs no lock; nothing it calls may block.
//
// Post, After, Cancel and IsCurrent may be called from any thread; Watch only from the thread
// itself. The destructor runs the tasks that are already posted, drops the timers and joins.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace hami::net {

class IoThread {
 public:
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // never 0

  explicit IoThread(const char* name);  // the thread's name: up to 15 characters
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // In the order of the calls. Dropped when the thread has already ended.
  void Post(Task task);

  // Once, `delay_ms` from now at the earliest.
  TimerId After(int64_t delay_ms, Task task);

  // From the thread itself: the task will not run. From another: it may be running. An id that is
  // not waiting any more is ignored.
  void Cancel(TimerId id);

  // Calls `ready(events)` while the descriptor has any of `events` (EPOLLIN, EPOLLOUT; errors come
  // unasked). Replaces what was asked for the same descriptor; 0 forgets it, and has to be called
  // before the descriptor is closed.
  void Watch(int fd, uint32_t events, std::function<void(uint32_t)> ready);

  bool IsCurrent() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace hami::net
