// SPDX-License-Identifier: Apache-2.0
//
// The words that every launch reads, in a cache line of their own: nothing that launches write
// often may lie beside them, or threads would wait for each other's writes. For the same reason a
// word here is stored only when it changes (StoreIfNew).
//
// Any thread.

#pragma once

#include <atomic>
#include <cstdint>

namespace hami::preload {

// What a launch has to do. kAttach: not known yet. kPass: nothing. kWatch: no compute limit, but
// the monitor is to see activity and may hold launches back. kLimit: charge.
enum class LaunchMode : uint8_t { kAttach = 0, kPass, kWatch, kLimit };

struct alignas(64) LaunchWords {
  std::atomic<LaunchMode> mode = LaunchMode::kAttach;
  // Set while a window is measured: every launch takes the slow path.
  std::atomic<bool> window_is_open = false;
  // The device of every launch if there is only one granted device; -1: each launch must find out.
  std::atomic<int> sole_device = -1;
  // Captures begun and not ended in this process. May stay above 0 for ever if an application
  // destroys a stream in mid-capture: a loss of speed, not of correctness.
  std::atomic<int> active_captures = 0;
  // Of watched_words (holds.h).
  std::atomic<int> watched_count = 0;
};
static_assert(sizeof(LaunchWords) == 64);

extern LaunchWords launch_words;

template <typename Word, typename Value>
inline void StoreIfNew(Word&& word, Value value) {
  if (word.load(std::memory_order_relaxed) != value) word.store(value, std::memory_order_relaxed);
}

}  // namespace hami::preload
