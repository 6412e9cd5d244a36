// SPDX-License-Identifier: Apache-2.0
//
// Launches on several streams of one context overlap: the sum of their event intervals is more than
// the GPU time that they take together. Windows of successive launches are measured as a whole, and
// the ratio of the union of their intervals to what was charged for them is learnt.
//
// Not thread-safe: the sampler calls everything here but OverlapFactorQ16 under its lock.

#pragma once

#include <cstdint>

namespace hami::preload {

inline constexpr uint32_t kNoOverlapQ16 = 65536;
inline constexpr int kWindowLaunches = 32;

struct Interval {
  uint64_t begin_ns;
  uint64_t end_ns;
  uint64_t charged_ns;
};

// The length of the union of the intervals, as far as it lies behind the first end, over the
// charges of all but the one that ended first, times 65536; at most 65536. (What lies before the
// first end may overlap with launches that are not in the window.) Sorts the intervals.
uint32_t UnionOverCharge(Interval* intervals, int count);

// Collects one window at a time.
class OverlapWindow {
 public:
  // Whether a launch now should be measured as part of a window.
  bool Wants(uint64_t now_ns) const;
  // The launch's place in the window, -1 for none. 0 is the anchor: times count from its begin.
  int Join(uint64_t now_ns);
  // Takes the measured interval of a member. True: that was the last one, the window is evaluated.
  bool Finish(const Interval& interval);
  // A member was lost: the window is given up. Returns its serial number's end; later Finish calls
  // of its members are ignored by comparing `serial`.
  void GiveUp() { Clear(); }
  uint32_t serial() const { return serial_; }

  // `several`: other streams were used as well since the last call.
  void NoteStream(const void* stream, bool several);

 private:
  void Clear();

  Interval intervals_[kWindowLaunches] = {};
  int joined_ = 0;
  int finished_ = 0;
  uint32_t serial_ = 0;
  uint64_t opened_ns_ = 0;
  uint64_t last_evaluated_ns_ = 0;
  bool several_streams_ = false;
  const void* last_stream_ = nullptr;
};

// What is charged is multiplied by this and divided by 65536. Any thread.
uint32_t OverlapFactorQ16();
void ResetOverlap();

}  // namespace hami::preload
