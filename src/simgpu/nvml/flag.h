// SPDX-License-Identifier: Apache-2.0
//
// A lock for what is rarely contended and never held for long: waiting may be plain.

#pragma once

#include <sched.h>

#include <atomic>

namespace hami::simgpu::nvml {

using Flag = std::atomic_flag;

class FlagHolder {
 public:
  explicit FlagHolder(Flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  ~FlagHolder() { flag_.clear(std::memory_order_release); }
  FlagHolder(const FlagHolder&) = delete;
  FlagHolder& operator=(const FlagHolder&) = delete;

 private:
  Flag& flag_;
};

}  // namespace hami::simgpu::nvml
