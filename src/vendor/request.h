// SPDX-License-Identifier: Apache-2.0
//
// What pods say about one vendor's devices, and what admission answers. Plain values.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace hami::vendor {

using VendorId = uint16_t;  // index in the registry

// What a request was rounded to where devices are cut by templates or profiles.
struct Shape {
  std::string name;   // "vir05_1c_16g", "3g.20gb"; empty: none
  int32_t slots = 1;  // of a device that one such piece takes

  bool operator==(const Shape&) const = default;
};

// What one container asks of one vendor.
struct Request {
  VendorId vendor = 0;
  int32_t count = 0;
  int32_t memory_mib = 0;  // of each device; 0: memory_pct counts
  int32_t memory_pct = 0;  // of each device's memory
  int32_t cores = 0;       // of each device, in percent; NeedOn says what that takes of one
  // Cores are asked of all devices together, count is 1: how many devices that is depends on the
  // node's (AWS Neuron). RequestOn says it.
  bool across_devices = false;
  Shape shape;  // templates and profiles that the vendor rounded to; may be empty

  bool operator==(const Request&) const = default;
};

// What a pod says about which devices of a vendor it wants (contract 2.4), read once per pod.
// Types match as parts of a device's type whatever the case, ids exactly; see MatchesType and
// MatchesId in selectors.h. An empty list is no constraint.
struct Selectors {
  std::vector<std::string> use_types;
  std::vector<std::string> avoid_types;
  std::vector<std::string> use_ids;
  std::vector<std::string> avoid_ids;
  std::string modes;  // nvidia.com/vgpu-mode: a device's mode must stand in it; empty: any

  bool operator==(const Selectors&) const = default;
};

// What admission changes in one container. Nothing set: nothing to do.
struct Admission {
  bool has_devices = false;                     // the container asks for devices of a vendor
  std::map<std::string, std::string> limits;    // to set or replace
  std::map<std::string, std::string> requests;  // likewise
  std::vector<std::pair<std::string, std::string>> environment;  // to append, or replace by name
  std::map<std::string, std::string> pod_annotations;            // to set
  std::string runtime_class;                                     // to set where the pod has none
};

}  // namespace hami::vendor
