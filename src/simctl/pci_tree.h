// SPDX-License-Identifier: Apache-2.0
//
// The piece of sysfs that says where simulated devices hang in the PCIe tree: for programs that
// look for a device's root complex (gpu/pcie_root.h).

#pragma once

#include <string>

#include "base/result.h"
#include "simgpu/profile/profile.h"

namespace hami::simctl {

// Makes `folder` with bus/pci/devices/<address> for every device whose profile names a root.
Status WritePciTree(const std::string& folder, const simgpu::Profile& profile,
                    const std::string& simulation_name);

}  // namespace hami::simctl
