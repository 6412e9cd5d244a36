// SPDX-License-Identifier: Apache-2.0
//
// A thread that does one thing again and again: at once, and then after as long as it said itself.
// It takes no signals.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace hami::base {

class Periodic {
 public:
  // `round` returns how many milliseconds to wait before the next one.
  explicit Periodic(std::function<int64_t()> round);
  // Waits for a round that is running.
  ~Periodic();
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

  // From within a round: waits so long, or until the destructor is called.
  void Pause(int64_t ms);

 private:
  void Run();

  const std::function<int64_t()> round_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hami::base
