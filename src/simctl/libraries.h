// SPDX-License-Identifier: Apache-2.0
//
// Where the simulated driver libraries lie on this machine: <lib>/simgpu/<BRANCH>/libcuda.so.1 and
// libnvidia-ml.so.1, one folder per driver branch whose set of functions they export. <lib> is
// ../lib beside the running executable's folder, or /usr/lib/hami.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hami::simctl {

struct DriverFiles {
  std::string cuda;        // libcuda.so.1
  std::string nvml;        // libnvidia-ml.so.1
  std::string nvidia_smi;  // the executable
};

// Of the branches that have `library`, the newest that is not newer than the driver's; the oldest
// of all for a driver older than that.
int ChooseFlavour(const std::vector<int>& branches, int driver_branch);

// kNotFound with what is missing where.
Result<DriverFiles> FindDriverFiles(int driver_branch);

}  // namespace hami::simctl
