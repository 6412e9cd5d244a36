// SPDX-License-Identifier: Apache-2.0

#include "base/periodic.h"

#include <signal.h>

#include <chrono>
#include <utility>

namespace hami::base {

Periodic::Periodic(std::function<int64_t()> round)
    : round_(std::move(round)), thread_([this] { Run(); }) {}

Periodic::~Periodic() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Periodic::Pause(int64_t ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

void Periodic::Run() {
  // Signals are for the program's own threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const auto is_stopping = [this] {
    const std::lock_guard lock(mutex_);
    return stopping_;
  };
  while (!is_stopping()) Pause(round_());
}

}  // namespace hami::base
