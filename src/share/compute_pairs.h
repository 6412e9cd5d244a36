// SPDX-License-Identifier: Apache-2.0
//
// GPU time that the tenant's library charged, beside the GPU time that the driver saw, for the same
// processes over the same time. Only what both have counted from end to end becomes a pair: of a
// process that ends the driver never tells the last part, and one that begins to compute is charged
// guesses, until the library has measured it.
//
// Times are CLOCK_MONOTONIC. One thread.

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

namespace hami::share {

class ComputePairs {
 public:
  struct Pair {
    uint64_t true_ns = 0;
    uint64_t charged_ns = 0;
  };

  // What a process has been charged since it began, read now. The tenant can set its counter back:
  // then what was noted of the process before is forgotten.
  void NoteCharged(int pid, int64_t now_ns, uint64_t charged_ns);

  // One sample of the driver. Between two readings of the counter it is taken to have grown evenly,
  // if they are near each other; the sample is left out if they are not.
  // Time without a sample, since the one before, is time in which the process was charged for what
  // it did not do yet.
  void NoteBusy(int pid, int64_t begin_ns, int64_t end_ns, uint64_t busy_ns);

  // The sum of the pairs since the last call. Forgets processes that are not noted any more.
  Pair Take();

 private:
  struct Reading {
    int64_t time_ns;
    uint64_t charged_ns;
  };
  struct Process {
    int64_t learnt_ns = 0;  // 0: has not computed yet
    int64_t paired_until_ns = 0;
    std::deque<Reading> readings;
  };

  static std::optional<uint64_t> ChargedAt(const std::deque<Reading>& readings, int64_t time_ns);

  std::map<int, Process> processes_;
  int64_t newest_ns_ = 0;
  Pair sum_;
};

}  // namespace hami::share
