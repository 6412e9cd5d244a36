// SPDX-License-Identifier: Apache-2.0
//
// What a simulated machine is, as plain values: the part of the shared state that is written once,
// when the state is made (create.h), and only read afterwards. A YAML profile is turned into this
// by src/simctl. Sizes in bytes, times in nanoseconds.

#pragma once

#include <stdint.h>

namespace hami::simgpu {

inline constexpr uint32_t kMaxDevices = 64;
inline constexpr uint32_t kMaxKernelRules = 256;

struct DeviceConfig {
  char name[96];
  char uuid[48];  // "GPU-..."
  char serial[32];
  char part_number[80];
  char vbios[32];
  char brand[32];
  uint32_t compute_capability;  // 86 for 8.6
  uint32_t minor;
  uint32_t ecc;
  uint32_t mig_capable;
  uint32_t mig_on;
  // Of a MIG device, which has an entry of its own behind those of all GPUs: its GPU's index + 1.
  uint32_t parent_plus_1;
  uint32_t gpu_instance;
  uint32_t mig_slices;
  uint32_t pci_domain;
  uint32_t pci_bus;
  uint32_t pci_device;
  uint32_t pci_device_id;  // device in the upper half, vendor in the lower
  uint32_t pci_subsystem_id;
  uint32_t pcie_generation;
  uint32_t pcie_lanes;
  uint32_t numa_node;
  uint32_t nvlink_links;
  uint32_t nvlink_generation;

  uint64_t memory_bytes;    // the product's; CUDA shows it without reserved_bytes
  uint64_t reserved_bytes;  // what the driver keeps
  uint64_t bar1_bytes;
  uint64_t granularity_bytes;  // of physical memory; a power of two
  uint64_t context_bytes;      // what one context takes
  uint32_t bus_bits;

  uint32_t multiprocessors;
  uint32_t cores_per_multiprocessor;
  uint32_t threads_per_multiprocessor;
  uint32_t blocks_per_multiprocessor;
  uint32_t registers_per_multiprocessor;
  uint32_t shared_per_multiprocessor_bytes;
  uint32_t shared_per_block_bytes;
  uint32_t shared_per_block_optin_bytes;
  uint32_t l2_bytes;
  uint32_t copy_engines;

  uint32_t idle_mhz[3];  // graphics, memory, video
  uint32_t max_mhz[3];
  uint32_t power_idle_mw;
  uint32_t power_limit_mw;
  uint32_t power_min_limit_mw;
  uint32_t temperature_idle_c;
  uint32_t temperature_load_c;
  uint32_t temperature_slowdown_c;
  uint32_t temperature_shutdown_c;

  uint64_t time_slice_ns;
  uint64_t launch_ns;           // from a launch to its start on an idle device
  uint64_t kernel_ns;           // a kernel without a time of its own: this,
  uint64_t block_ns;            // and this for each wave of blocks
  uint64_t host_to_device_bps;  // bytes per second
  uint64_t device_to_host_bps;
  uint64_t device_to_device_bps;
};

// How long one launch of a kernel takes when it has the device alone.
struct KernelRule {
  char name[112];       // '*' at the end stands for any rest
  uint64_t ns;          // when param_index is negative
  int32_t param_index;  // else: the kernel's parameter of this number, 64 bits, is the time in ns
  uint32_t reserved;
};

struct MachineConfig {
  char name[64];  // of the simulation
  char description[256];
  char driver_version[32];  // "550.144.03"
  uint32_t cuda_version;    // 12040
  uint32_t device_count;    // with MIG devices
  uint32_t kernel_rule_count;
  uint32_t proc_address_aliases;  // cuGetProcAddress gives other addresses than the exported ones
  uint64_t content_cap_bytes;     // device memory content that one process may hold; 0: 1 GiB
  DeviceConfig devices[kMaxDevices];
  KernelRule kernel_rules[kMaxKernelRules];
};

// How many of the devices are GPUs.
inline uint32_t GpuCount(const MachineConfig& config) {
  uint32_t count = 0;
  while (count < config.device_count && config.devices[count].parent_plus_1 == 0) ++count;
  return count;
}

}  // namespace hami::simgpu
