// SPDX-License-Identifier: Apache-2.0
//
// What others say to this tenant's launches through the region: HAMi's monitor counts
// recent_kernel down while nothing is launched, sets it below zero to hold the tenant back, and
// sets the switch of the default policy; a tool suspends a process by its status; the agent counts
// the generation of the limits up.
//
// A launch looks at a few words of the region and goes on if they are as expected. Whether a
// compute limit acts makes no difference: activity is shown by tenants without a limit too, so that
// one of high priority holds those of low priority, and one of low priority is held.

#pragma once

#include <cstdint>

#include "preload/launch_words.h"
#include "preload/shares.h"

namespace hami::preload {

// HAMi's monitor takes one off at each look; a launch winds it up again.
inline constexpr int32_t kRecentKernelWound = 2;

// Only the slow paths write to these, and only what changes.
struct WatchedWord {
  const int32_t* word;
  int32_t expected;
};
inline constexpr int kWordsPerShare = 4;
extern WatchedWord watched_words[kMaxShares * kWordsPerShare];

inline bool NothingIsNew() {
  const int count = launch_words.watched_count.load(std::memory_order_relaxed);
  for (int i = 0; i < count; ++i) {
    const WatchedWord& watched = watched_words[i];
    if (__atomic_load_n(watched.word, __ATOMIC_RELAXED) !=
        __atomic_load_n(&watched.expected, __ATOMIC_RELAXED)) {
      return false;
    }
  }
  return true;
}

// At attach and when limits were replaced.
void WatchShares(const Shares& shares);

void ResetHoldsAfterFork();

// In slow paths: takes note of what is said now, shows activity, and returns when nobody holds this
// process back. Limits that are replaced meanwhile are followed.
void WindAndWait(Shares& shares);

}  // namespace hami::preload
