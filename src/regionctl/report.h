// SPDX-License-Identifier: Apache-2.0
//
// What a shared region says, and what is wrong with it. The file is the tenant's to write: it is
// copied in one bounded read, nothing is mapped, and every number in it is a claim.
//
// Contract: HAMi-core's region 1.2 (api/region), with or without our extension.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace hami::regionctl {

struct DeviceReport {
  std::string uuid;
  uint64_t limit_bytes = 0;      // 0: none
  uint64_t limit_cores_pct = 0;  // 0 or 100 and more: none
  uint64_t used_bytes = 0;       // what counts against the limit
  // With the extension only.
  uint64_t hidden_bytes = 0;  // of them, seen by the agent alone
  uint64_t gpu_ns = 0;        // granted since the region was made
  uint64_t throttled_ns = 0;
  uint64_t refused = 0;    // allocations
  uint64_t disturbed = 0;  // words that were met and that no library can have written
};

struct ProcessReport {
  int slot = 0;
  int pid = 0;                       // as it sees itself
  int host_pid = 0;                  // 0: not known
  std::optional<bool> alive;         // nullopt: cannot be told from here
  std::vector<uint64_t> used_bytes;  // by device
  std::vector<uint64_t> gpu_ns;      // by device, granted; with the extension only
};

struct Problem {
  std::string text;
  bool repairable = false;
  bool operator==(const Problem&) const = default;
};

struct RegionReport {
  std::string path;
  uint64_t file_bytes = 0;
  bool extended = false;
  int utilization_switch = 0;  // 1: compute is limited
  int recent_kernel = 0;       // below 0: launches are held back
  int priority = 0;
  uint64_t last_kernel_time = 0;  // Unix seconds; 0: never
  std::vector<DeviceReport> devices;
  std::vector<ProcessReport> processes;
  std::vector<Problem> problems;
};

// kNotFound, kDataLoss (no region, or one of a version that nobody here knows). With live processes
// it looks twice, so that what is on its way is not taken for a problem.
Result<RegionReport> ReadRegion(const std::string& path);

// One look, for who looks again and again and does not show problems: they may be on their way.
Result<RegionReport> LookAtRegion(const std::string& path);

}  // namespace hami::regionctl
