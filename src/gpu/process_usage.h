// SPDX-License-Identifier: Apache-2.0
//
// How long each process used a GPU since the last look, from the driver's utilisation samples. This
// is the host's truth about compute: no tenant can change it.
//
// The driver gives whole percents over its own sampling period, so one look is rough and many are
// right. One thread per sampler.

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "gpu/nvml.h"

namespace hami::gpu {

struct UtilizationSample {
  int pid;
  uint64_t time_us;  // end of what the sample covers, the driver's clock
  unsigned sm_pct;
};

// GPU time per process out of samples: each covers the time from that process's sample before it
// (or `since_us`) to its own. Pure; samples may come in any order.
std::map<int, uint64_t> BusyNs(std::vector<UtilizationSample> samples, uint64_t since_us);

class UsageSampler {
 public:
  // Neither is owned; both must outlive the sampler.
  UsageSampler(const Nvml& nvml, nvmlDevice_t device) : nvml_(nvml), device_(device) {}

  // Nanoseconds of GPU time per PID since the last call that saw a sample; the first such call only
  // begins. Empty when nobody computed. kUnimplemented where the driver cannot tell.
  Result<std::map<int, uint64_t>> Sample();

  // End of the newest sample, wall clock; 0 before the first.
  uint64_t last_seen_us() const { return last_seen_us_; }

 private:
  const Nvml& nvml_;
  nvmlDevice_t device_;
  uint64_t last_seen_us_ = 0;
};

}  // namespace hami::gpu
