// SPDX-License-Identifier: Apache-2.0
//
// How long each process used a GPU since the last look, from the driver's utilisation samples. This
// is the host's truth about compute: no tenant can change it.
//
// The driver gives whole percents over its own sampling period, so one look is rough and many are
// right. One thread per sampler.

#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "gpu/nvml.h"

namespace hami::gpu {

struct UtilizationSample {
  int pid;
  uint64_t time_us;  // end of what the sample covers, the driver's clock
  unsigned sm_pct;
};

// A process used the GPU for `busy_ns` of the time from `begin_us` to `end_us`.
struct BusySpan {
  int pid;
  uint64_t begin_us;
  uint64_t end_us;
  uint64_t busy_ns;

  bool operator==(const BusySpan&) const = default;
};

// What samples say: each covers the time from that process's sample before it (or `since_us`) to
// its own. Pure; samples may come in any order. Oldest first.
std::vector<BusySpan> BusySpans(std::vector<UtilizationSample> samples, uint64_t since_us);

class UsageSampler {
 public:
  // Neither is owned; both must outlive the sampler.
  UsageSampler(const Nvml& nvml, nvmlDevice_t device) : nvml_(nvml), device_(device) {}

  // What the driver saw since the last call that saw something; the first such call only begins.
  // Empty when there is nothing new. kUnimplemented where the driver cannot tell.
  Result<std::vector<BusySpan>> Sample();

  // End of the newest sample, wall clock; 0 before the first.
  uint64_t last_seen_us() const { return last_seen_us_; }

 private:
  const Nvml& nvml_;
  nvmlDevice_t device_;
  uint64_t last_seen_us_ = 0;
};

}  // namespace hami::gpu
