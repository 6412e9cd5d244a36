// SPDX-License-Identifier: Apache-2.0

#include "preload/overlap.h"

#include <atomic>

namespace hami::preload {
namespace {

constexpr uint64_t kWindowEveryNs = 50'000'000;
constexpr uint64_t kAbandonAfterNs = 2'000'000'000;
constexpr uint32_t kLeastQ16 = kNoOverlapQ16 / 1024;

// Windows scatter: the first ones are averaged, after that each moves the factor by this part.
constexpr uint32_t kSteadyWeight = 12;

constinit std::atomic<uint32_t> overlap_q16 = kNoOverlapQ16;
constinit uint32_t windows_learnt = 0;

// Evenly in both directions: a bias to one side would stay in every charge.
void Learn(uint32_t now) {
  const uint32_t before = overlap_q16.load(std::memory_order_relaxed);
  if (windows_learnt < kSteadyWeight) ++windows_learnt;
  const uint32_t after = now < before ? before - (before - now) / windows_learnt
                                      : before + (now - before) / windows_learnt;
  overlap_q16.store(after, std::memory_order_relaxed);
}

}  // namespace

uint32_t UnionOverCharge(Interval* intervals, int count) {
  // Insertion sort by begin: windows are small and nearly sorted.
  for (int i = 1; i < count; ++i) {
    const Interval moved = intervals[i];
    int at = i;
    for (; at > 0 && intervals[at - 1].begin_ns > moved.begin_ns; --at) {
      intervals[at] = intervals[at - 1];
    }
    intervals[at] = moved;
  }
  int first = 0;
  uint64_t charged_ns = 0;
  for (int i = 0; i < count; ++i) {
    if (intervals[i].end_ns < intervals[first].end_ns) first = i;
    charged_ns += intervals[i].charged_ns;
  }
  if (count > 0) charged_ns -= intervals[first].charged_ns;
  if (charged_ns == 0) return kNoOverlapQ16;
  uint64_t covered_until = intervals[first].end_ns;
  uint64_t union_ns = 0;
  for (int i = 0; i < count; ++i) {
    const uint64_t begin =
        intervals[i].begin_ns > covered_until ? intervals[i].begin_ns : covered_until;
    if (intervals[i].end_ns <= begin) continue;
    union_ns += intervals[i].end_ns - begin;
    covered_until = intervals[i].end_ns;
  }
  const uint64_t ratio = union_ns * kNoOverlapQ16 / charged_ns;
  if (ratio < kLeastQ16) return kLeastQ16;
  return ratio < kNoOverlapQ16 ? static_cast<uint32_t>(ratio) : kNoOverlapQ16;
}

void OverlapWindow::NoteStream(const void* stream, bool several) {
  if (several || (last_stream_ != nullptr && stream != last_stream_)) several_streams_ = true;
  last_stream_ = stream;
}

bool OverlapWindow::Wants(uint64_t now_ns) const {
  if (joined_ > 0) return joined_ < kWindowLaunches;
  return several_streams_ && now_ns - last_evaluated_ns_ > kWindowEveryNs;
}

int OverlapWindow::Join(uint64_t now_ns) {
  if (joined_ > 0 && now_ns - opened_ns_ > kAbandonAfterNs) Clear();
  if (!several_streams_) {
    ResetOverlap();
    return -1;
  }
  if (!Wants(now_ns)) return -1;
  if (joined_ == 0) opened_ns_ = now_ns;
  return joined_++;
}

bool OverlapWindow::Finish(const Interval& interval) {
  intervals_[finished_++] = interval;
  if (finished_ < kWindowLaunches) return false;
  Learn(UnionOverCharge(intervals_, kWindowLaunches));
  last_evaluated_ns_ = opened_ns_;
  several_streams_ = false;  // to be seen again
  Clear();
  return true;
}

void OverlapWindow::Clear() {
  joined_ = 0;
  finished_ = 0;
  ++serial_;
}

uint32_t OverlapFactorQ16() { return overlap_q16.load(std::memory_order_relaxed); }

void ResetOverlap() {
  windows_learnt = 0;
  overlap_q16.store(kNoOverlapQ16, std::memory_order_relaxed);
}

}  // namespace hami::preload
