// SPDX-License-Identifier: Apache-2.0
//
// From the entries of a profile to single devices: indexes, UUIDs, serial numbers and PCI addresses
// of a `count:` of equal ones. Deterministic: the same profile under the same name gives the same
// devices, and two simulations of one machine never share a derived UUID.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "simgpu/profile/profile.h"

namespace hami::simgpu {

// A MIG device: a GPU instance with one compute instance in it.
struct ExpandedInstance {
  MigProfile profile;
  uint32_t gpu_instance = 0;
  std::string uuid;  // "MIG-..."
};

struct ExpandedDevice {
  DeviceProfile profile;  // count is 1
  uint32_t index = 0;     // also the minor number
  std::string uuid;       // "GPU-..."
  std::string serial;
  uint32_t pci_domain = 0;
  uint32_t pci_bus = 0;
  uint32_t pci_device = 0;
  std::vector<ExpandedInstance> instances;

  std::string PciAddress() const;  // "00000000:65:01.0"
};

// kInvalidArgument when there are more than kMaxProfileDevices with their MIG devices, or when two
// devices end up with one UUID or PCI address.
Result<std::vector<ExpandedDevice>> ExpandDevices(const Profile& profile,
                                                  std::string_view simulation_name);

}  // namespace hami::simgpu
