// SPDX-License-Identifier: Apache-2.0
//
// Readings that more than one NVML function shows.

#pragma once

#include "simgpu/nvml/device.h"

namespace hami::simgpu::nvml {

// Has work or memory of a client: clocks and link are up.
bool IsActive(const Device& device);
uint32_t PowerMw(const Device& device);
uint32_t TemperatureC(const Device& device);
uint64_t EnergyMj(const Device& device);

}  // namespace hami::simgpu::nvml
