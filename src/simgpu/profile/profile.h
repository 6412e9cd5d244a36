// SPDX-License-Identifier: Apache-2.0
//
// A simulated machine as a YAML file describes it (src/simgpu/profiles/README.md has the keys). The
// reading is strict: an unknown key, a missing or wrong unit, a value out of range or a name twice
// is an error that names the file, the line, the key and what is allowed.
//
// Plain values; reading a file is the only thing here that touches the system.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::simgpu {

inline constexpr uint32_t kMaxProfileDevices = 64;

// One entry of `devices:`, which stands for `count` equal devices. Every number is a uint64_t in
// the unit that its name ends with, so that one table of keys can fill them (profile.cc).
struct DeviceProfile {
  uint64_t count = 1;
  std::string name;
  std::string uuid;  // of the first; the others' are derived (DeviceUuid)
  std::string serial;
  std::string part_number;
  std::string vbios;
  std::string brand = "Nvidia";
  uint64_t compute_capability = 0;  // 86 for 8.6
  bool ecc = true;
  bool mig = false;
  std::string mig_instances;  // "1g.18gb 3g.71gb"; MIG is on where there are any

  uint64_t memory_bytes = 0;
  uint64_t reserved_bytes = 0;
  uint64_t bar1_bytes = 0;
  uint64_t granularity_bytes = 0;
  uint64_t context_bytes = 0;
  uint64_t bus_bits = 0;

  uint64_t multiprocessors = 0;
  uint64_t cores_per_multiprocessor = 0;
  uint64_t threads_per_multiprocessor = 0;
  uint64_t blocks_per_multiprocessor = 0;
  uint64_t registers_per_multiprocessor = 0;
  uint64_t shared_per_multiprocessor_bytes = 0;
  uint64_t shared_per_block_bytes = 0;
  uint64_t shared_per_block_optin_bytes = 0;
  uint64_t l2_bytes = 0;
  uint64_t copy_engines = 0;

  uint64_t idle_graphics_mhz = 0;
  uint64_t idle_memory_mhz = 0;
  uint64_t idle_video_mhz = 0;
  uint64_t max_graphics_mhz = 0;
  uint64_t max_memory_mhz = 0;
  uint64_t max_video_mhz = 0;

  uint64_t power_idle_mw = 0;
  uint64_t power_limit_mw = 0;
  uint64_t power_min_limit_mw = 0;
  uint64_t temperature_idle_c = 0;
  uint64_t temperature_load_c = 0;
  uint64_t temperature_slowdown_c = 0;
  uint64_t temperature_shutdown_c = 0;

  std::string pci_address;  // of the first, "0000:65:01.0"; the others follow on the next buses
  std::string pci_root;     // "pci0000:64" as in sysfs; empty: the machine does not tell
  uint64_t pci_device_id = 0;
  uint64_t pci_subsystem_id = 0;
  uint64_t pcie_generation = 0;
  uint64_t pcie_lanes = 0;
  uint64_t numa_node = 0;
  uint64_t nvlink_links = 0;
  uint64_t nvlink_generation = 0;

  uint64_t time_slice_ns = 0;
  uint64_t launch_ns = 0;
  uint64_t kernel_ns = 0;
  uint64_t block_ns = 0;
  uint64_t host_to_device_bps = 0;
  uint64_t device_to_host_bps = 0;
  uint64_t device_to_device_bps = 0;
};

// How long one launch of a kernel takes when it has the device alone.
struct KernelTime {
  std::string name;      // '*' at the end stands for any rest
  uint64_t ns = 0;       // unless param_index is set
  int param_index = -1;  // the kernel's 64-bit parameter of this number is the time in ns
  bool operator==(const KernelTime&) const = default;
};

struct Profile {
  std::string name;
  std::string description;
  std::string driver_version;  // "550.144.03"
  uint64_t cuda_version = 0;   // 12040
  std::vector<DeviceProfile> devices;
  std::vector<KernelTime> kernels;

  uint64_t DeviceCount() const;
};

// One of `mig_instances`.
struct MigProfile {
  std::string name;         // "1g.18gb"
  uint64_t slices = 0;      // of the device's 7
  uint64_t memory_gib = 0;  // as the name says
};
inline constexpr uint64_t kMigSlices = 7;

Result<std::vector<MigProfile>> ParseMigInstances(std::string_view text);

// The branch of a driver version: 550 of "550.144.03".
int DriverBranch(std::string_view driver_version);

// Reads text; `file` is for messages. The result is complete and in range.
Result<Profile> ParseProfile(std::string_view text, const std::string& file);
Result<Profile> LoadProfile(const std::string& path);

// What ParseProfile reads again as the same profile, with every value written out.
std::string WriteProfile(const Profile& profile);

// One entry alone with another number of devices, for `--gpus N`: the first entry is repeated.
Result<Profile> WithDeviceCount(Profile profile, uint64_t count);

}  // namespace hami::simgpu
