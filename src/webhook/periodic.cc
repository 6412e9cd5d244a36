// SPDX-License-Identifier: Apache-2.0

#include "webhook/periodic.h"

#include <signal.h>

#include <chrono>
#include <utility>

namespace hami::webhook {

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

void Periodic::Run() {
  // Signals are for the program's own threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const int64_t wait_ms = round_();
    lock.lock();
    changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_; });
  }
}

}  // namespace hami::webhook
