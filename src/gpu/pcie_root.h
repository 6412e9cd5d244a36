// SPDX-License-Identifier: Apache-2.0
//
// Where a device hangs in the PCIe tree, from sysfs: devices below one root complex reach each
// other without crossing the processor.

#pragma once

#include <optional>
#include <string>

namespace hami::gpu {

// "pci0000:64" for the device with this bus id (KernelBusId), as the standard device attribute
// resource.kubernetes.io/pcieRoot wants it. nullopt where the kernel does not tell: virtual
// machines pass devices through without a root. `sysfs` is the mount of sysfs.
std::optional<std::string> FindPcieRoot(const std::string& sysfs, const std::string& bus_id);

}  // namespace hami::gpu
