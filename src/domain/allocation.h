// SPDX-License-Identifier: Apache-2.0
//
// What a pod was given: slices of devices of one node. Plain values; how they are written into
// annotations is in pod_devices.h (the text that all vendors share), mig_allocations.h, and in
// src/vendor (the rest).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hami::domain {

// One MIG instance: profile "2g.10gb" at slices [start, start + size) of the GPU.
struct MigPlacement {
  std::string profile;
  int32_t start = 0;
  int32_t size = 0;
  // Known when the node has made it: all of them or none.
  std::string mig_uuid;
  int32_t gpu_instance = -1;
  int32_t compute_instance = -1;

  bool operator==(const MigPlacement&) const = default;
};

struct Slice {
  uint16_t container = 0;  // of Pod::containers
  std::string vendor;      // common word: "NVIDIA", "DCU", "Ascend910B3"
  std::string device;      // its id: "GPU-8dcd427f-..."
  int32_t memory_mib = 0;
  int32_t cores = 0;  // percent of the device, unless the vendor says otherwise
  std::optional<MigPlacement> mig;
  std::string shape;  // what a vendor's template or profile is called: "vir05_1c_16g", "3g.20gb"

  bool operator==(const Slice&) const = default;
};

struct Allocation {
  std::string node;
  std::vector<Slice> slices;  // by container, in the order in which they were chosen
};

}  // namespace hami::domain
