// SPDX-License-Identifier: Apache-2.0
//
// What GPUs the driver has, and who holds memory on them now. A snapshot by value: reading it again
// is the only way to see a change.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/nvml.h"

namespace hami::gpu {

struct DeviceProcess {
  int pid;                             // in the driver's (the host's) PID namespace
  std::optional<uint64_t> used_bytes;  // none: the driver does not tell
};

struct Device {
  int index = 0;  // the driver's order, as nvidia-smi shows it
  std::string uuid;
  std::string name;
  int minor = -1;  // /dev/nvidia<minor>; -1: not known
  std::string pci_bus_id;
  std::string brand;  // "Nvidia", "Tesla", ...; "Unknown" where the driver does not tell
  int compute_major = 0;
  int compute_minor = 0;
  uint64_t memory_bytes = 0;           // all of it
  uint64_t memory_used_bytes = 0;      // by anybody, without what the driver keeps for itself
  uint64_t memory_reserved_bytes = 0;  // what the driver keeps; 0 where it does not tell
  bool processes_known = true;
  std::vector<DeviceProcess> processes;
};

struct Inventory {
  std::string driver_version;  // "550.144.03"
  int cuda_version = 0;        // 12040 is 12.4; 0: not known
  std::string simulation;      // empty: a real driver
  std::string library_folder;  // where its libraries were found
  std::vector<Device> devices;
};

// kUnavailable if the driver has no device at all.
Result<Inventory> ReadInventory(const Nvml& nvml);

// The chip's architecture by its compute capability ("Ampere" for 8.6), as NVIDIA's own Kubernetes
// components name it; "Unknown" for one that is newer than this program.
std::string ArchitectureName(int compute_major, int compute_minor);

// "0000:65:01.0" of NVML's "00000000:65:01.0": as the kernel writes it.
std::string KernelBusId(const std::string& nvml_bus_id);

// The device with this index ("0") or UUID (whole, or the beginning of exactly one).
Result<const Device*> FindDevice(const Inventory& inventory, const std::string& index_or_uuid);

// Every process with a context on the device: compute, graphics and MPS clients.
// kUnimplemented where the driver cannot tell.
Result<std::vector<DeviceProcess>> ListProcesses(const Nvml& nvml, nvmlDevice_t device);

}  // namespace hami::gpu
