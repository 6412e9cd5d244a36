// SPDX-License-Identifier: Apache-2.0
//
// What a function did to the memory of a process that did nothing else: each runs in a child of
// its own, whose memory is its own and freshly begun.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace hami::bench {

struct Measured {
  double seconds = 0;
  double cpu_seconds = 0;  // of all its threads
  int64_t heap_bytes = 0;  // in use, by the allocator's count; what it grew by
  int64_t resident_bytes = 0;
  int64_t peak_bytes = 0;  // most that was resident
};

// `done` is called at the end, with all that was made still there. Aborts if the child does.
using Done = std::function<void()>;
Measured MeasureInChild(const std::function<void(const Done& done)>& work);

}  // namespace hami::bench
