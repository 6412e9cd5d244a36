// SPDX-License-Identifier: Apache-2.0
//
// One device of a node as the scheduler knows it: what its vendor's plugin announced.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hami::vendor {

struct MigProfile {
  std::string name;  // "1g.5gb"
  int32_t memory_mib = 0;
  int32_t cores = 0;
  int32_t slice_count = 0;
  struct Place {
    int32_t start = 0;
    int32_t size = 0;
  };
  std::vector<Place> places;
};

struct Device {
  uint16_t vendor = 0;  // VendorId
  std::string id;       // unique in the cluster
  int32_t index = 0;    // on the node, within the vendor
  int32_t slots = 0;    // how many containers may share it
  int32_t memory_mib = 0;
  int32_t cores = 0;  // in the vendor's unit; 100 for most
  int32_t numa = 0;
  bool healthy = true;
  bool cordoned = false;  // hami.io/device-cordon: nothing new
  std::string type;       // model: "NVIDIA A100-SXM4-80GB"
  std::string mode;       // "hami-core", "mig", ...; empty: the vendor has none
  std::vector<MigProfile> mig_profiles;
  // Which devices belong together (Ascend network or card pair, AIC, link zone, wing); -1: none.
  int32_t group = -1;
  // The quality of the connection to other devices of the node by their id (contract 2.2).
  std::map<std::string, int32_t> pair_scores;
  // Other words of the vendor, by key.
  std::map<std::string, std::string> extra;
};

}  // namespace hami::vendor
