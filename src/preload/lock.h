// SPDX-License-Identifier: Apache-2.0
//
// A lock inside one process, held for a few instructions on hot paths (the shards of the allocation
// table) and for longer only on cold ones (start-up). Spins for a moment, then yields. Never held
// across a call into the driver on a hot path, never across a sleep.
//
// A forked child inherits a lock in whatever state it was; process.cc resets them.

#pragma once

#include <atomic>

#include "region/os.h"

namespace hami::preload {

class SpinLock {
 public:
  class Holder {
   public:
    explicit Holder(SpinLock& lock) : lock_(lock) { lock_.Lock(); }
    ~Holder() { lock_.Unlock(); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

   private:
    SpinLock& lock_;
  };

  void Lock() {
    for (int spins = 0; held_.exchange(true, std::memory_order_acquire); ++spins) {
      if (spins > 64) os::Yield();
    }
  }
  void Unlock() { held_.store(false, std::memory_order_release); }
  void ResetAfterFork() { held_.store(false, std::memory_order_relaxed); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace hami::preload
