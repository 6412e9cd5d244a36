// SPDX-License-Identifier: Apache-2.0
//
// What one CUDA context costs on a device with this driver: memory that no call asks for, so it has
// to be known before it is charged (design decision 11). Measured once in a child process, which
// makes a context and is looked at through NVML, and remembered per driver and kind of device.
//
// The calling process must have one thread (it forks), and must not be a descendant of a CUDA user:
// the child uses the driver, the parent never does.

#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "gpu/inventory.h"

namespace hami::gpu {

struct ContextCostRequest {
  DriverLocation location;
  std::string cache_folder;  // empty: always measure
  int timeout_ms = 10'000;   // creating the first context of a big machine takes seconds
};

// Bytes; kUnavailable or kDeadlineExceeded if it cannot be measured. A simulated device is measured
// each time, because profiles of one name can differ.
Result<uint64_t> ContextCost(const Nvml& nvml, const Inventory& inventory, const Device& device,
                             const ContextCostRequest& request);

// File name of the cache entry: driver, CUDA version and device name.
std::string ContextCostKey(const Inventory& inventory, const Device& device);

}  // namespace hami::gpu
