// SPDX-License-Identifier: Apache-2.0
//
// A process that takes and gives memory at random by every family of calls until it is killed.

#pragma once

#include <atomic>
#include <cstdint>

namespace hami::bench {

// What racers count, in memory that all of them share.
struct Counters {
  std::atomic<uint64_t> calls;
  std::atomic<uint64_t> refused;  // out of memory
  std::atomic<uint64_t> failed;   // anything else
};

// Returns only if the driver cannot be used.
int Race(uint64_t seed, Counters* counters);

}  // namespace hami::bench
