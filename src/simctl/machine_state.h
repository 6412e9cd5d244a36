// SPDX-License-Identifier: Apache-2.0
//
// The shared state file of a simulation, as far as `hami sim` needs it: made from a profile, and
// asked who uses it. machine_state.cc is the only file here that knows its interface.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "simctl/arguments.h"
#include "simgpu/profile/profile.h"

namespace hami::simctl {

// Makes the state of a new machine at `path`, which must not exist.
Status CreateMachineState(const simgpu::Profile& profile, const std::string& simulation_name,
                          const std::string& path);

struct MachineProcess {
  uint32_t pid = 0;
  uint64_t memory_bytes = 0;
  uint64_t busy_ns = 0;  // GPU time that it had since it started
};

struct MachineDevice {
  uint64_t used_bytes = 0;
  std::vector<MachineProcess> processes;
};

// What every device holds now; processes that died are not in it.
Result<std::vector<MachineDevice>> ReadMachineState(const std::string& path);

// Faults on request (simgpu/state/faults.h).
struct Faults {
  bool driver_off = false;
  struct Device {
    bool lost = false;
    uint64_t slow_ms = 0;
    uint64_t failing_requests = 0;
    uint64_t ecc_corrected = 0;
    uint64_t ecc_uncorrected = 0;
  };
  std::vector<Device> devices;
};
// Does what is wished; what is on afterwards. kOutOfRange: no such GPU.
Result<Faults> MakeFaults(const std::string& path, const FaultWish& wish);

// The PIDs of all live clients, also of those without memory.
Result<std::vector<uint32_t>> ListClients(const std::string& path);

}  // namespace hami::simctl
