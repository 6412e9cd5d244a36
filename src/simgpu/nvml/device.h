// SPDX-License-Identifier: Apache-2.0
//
// A device as NVML sees it: what never changes (Traits, copied from the shared state when a process
// starts NVML) and its place in the state, where what changes is read at every call.
//
// An nvmlDevice_t points to an element of one static array, so a handle can be checked and stays
// good after nvmlShutdown and another nvmlInit, as the driver's do. Thread-safe after the start.

#pragma once

#include <stdint.h>

#include "api/nvml/types.h"

namespace hami::simgpu::nvml {

inline constexpr uint32_t kMaxDevices = 64;

// Indexed by nvmlClockType_t.
struct Clocks {
  uint32_t mhz[NVML_CLOCK_COUNT];
};

struct Traits {
  char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
  char uuid[NVML_DEVICE_UUID_BUFFER_SIZE];
  char serial[NVML_DEVICE_SERIAL_BUFFER_SIZE];
  char part_number[NVML_DEVICE_PART_NUMBER_BUFFER_SIZE];
  char vbios_version[NVML_DEVICE_VBIOS_VERSION_BUFFER_SIZE];
  nvmlBrandType_t brand;
  nvmlDeviceArchitecture_t architecture;
  int compute_major;
  int compute_minor;
  uint32_t minor_number;
  uint32_t pci_domain;
  uint32_t pci_bus;
  uint32_t pci_device;
  uint32_t pci_device_id;
  uint32_t pci_subsystem_id;
  uint32_t numa_node;
  uint64_t memory_bytes;
  uint64_t reserved_bytes;
  uint64_t bar1_bytes;
  uint32_t multiprocessors;
  uint32_t cores;
  uint32_t memory_bus_bits;
  Clocks clocks_idle;
  Clocks clocks_max;
  uint32_t power_idle_mw;
  uint32_t power_limit_mw;
  uint32_t power_min_limit_mw;
  uint32_t temperature_idle_c;
  uint32_t temperature_load_c;
  uint32_t temperature_slowdown_c;
  uint32_t temperature_shutdown_c;
  uint32_t pcie_generation;
  uint32_t pcie_lanes;
  uint32_t nvlink_links;
  uint32_t nvlink_generation;
  bool ecc;  // enabled
  bool mig_capable;
  bool mig_on;
  // Of a MIG device: which it is of its GPU, and what of it.
  uint32_t mig_index;
  uint32_t gpu_instance;
  uint32_t mig_slices;
};

// Also a MIG device, behind all GPUs.
struct Device {
  uint32_t index;
  uint32_t parent_plus_1;  // 0: a GPU
  Traits traits;
};

// NVML_SUCCESS and the device, NVML_ERROR_UNINITIALIZED, NVML_ERROR_INVALID_ARGUMENT or, for faults
// on request, NVML_ERROR_GPU_IS_LOST.
nvmlReturn_t FindDevice(nvmlDevice_t handle, const Device** device);

uint32_t DeviceCount();  // of an initialised library; GPUs
uint32_t DeviceCountWithMig();
const Device& DeviceAt(uint32_t index);
nvmlDevice_t HandleOf(const Device& device);
bool IsInitialised();

// The usual form of a function with one result: checks, then *out = value(device).
template <typename T, typename Function>
nvmlReturn_t Give(nvmlDevice_t handle, T* out, Function value) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *out = value(*device);
  return NVML_SUCCESS;
}

// For what the device could have and has not: checks the handle first, as the driver does.
nvmlReturn_t NotSupported(nvmlDevice_t handle);

// Copies a terminated string; NVML_ERROR_INSUFFICIENT_SIZE when it does not fit.
nvmlReturn_t CopyText(const char* text, char* out, unsigned int length);

}  // namespace hami::simgpu::nvml
