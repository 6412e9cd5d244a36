// SPDX-License-Identifier: Apache-2.0

#include "gpu/pcie_root.h"

#include <climits>
#include <cstdlib>
#include <string_view>

namespace hami::gpu {

std::optional<std::string> FindPcieRoot(const std::string& sysfs, const std::string& bus_id) {
  // The link's target names every bridge on the way: devices/pci0000:64/0000:64:00.0/0000:65:01.0
  char resolved[PATH_MAX];
  const std::string link = sysfs + "/bus/pci/devices/" + bus_id;
  if (realpath(link.c_str(), resolved) == nullptr) return std::nullopt;
  constexpr std::string_view kDevices = "/devices/pci";
  const std::string_view path = resolved;
  const size_t begin = path.find(kDevices);
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t name = begin + std::string_view("/devices/").size();
  return std::string(path.substr(name, path.find('/', name) - name));
}

}  // namespace hami::gpu
