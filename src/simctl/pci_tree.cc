// SPDX-License-Identifier: Apache-2.0

#include "simctl/pci_tree.h"

#include <fmt/format.h>
#include <unistd.h>

#include <vector>

#include "base/file.h"
#include "simgpu/profile/expand.h"

namespace hami::simctl {

Status WritePciTree(const std::string& folder, const simgpu::Profile& profile,
                    const std::string& simulation_name) {
  ASSIGN_OR_RETURN(const std::vector<simgpu::ExpandedDevice> devices,
                   simgpu::ExpandDevices(profile, simulation_name));
  const std::string links = folder + "/bus/pci/devices";
  RETURN_IF_ERROR(base::MakeFolders(links, 0755));
  for (const simgpu::ExpandedDevice& device : devices) {
    const std::string& root = device.profile.pci_root;
    if (root.empty()) continue;
    const std::string address =
        fmt::format("{:04x}:{:02x}:{:02x}.0", device.pci_domain, device.pci_bus, device.pci_device);
    const std::string place = fmt::format("devices/{}/{}", root, address);
    RETURN_IF_ERROR(base::MakeFolders(base::JoinPath(folder, place), 0755));
    if (symlink(("../../../" + place).c_str(), base::JoinPath(links, address).c_str()) != 0) {
      return FailErrno("link " + address);
    }
  }
  return {};
}

}  // namespace hami::simctl
