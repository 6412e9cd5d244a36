// SPDX-License-Identifier: Apache-2.0
//
// The devices that a node's plugin announces in an annotation, as JSON (NVIDIA, AMD, XPU, Vastai,
// Biren, Ascend) or as the older text with colons (DCU, Iluvatar); contract hami-control-plane.md
// 2.1 and 2.2. What is read is what stands there: rules of vendors are in src/vendor. Pure.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::domain {

struct NodeMigPlace {
  int32_t start = 0;
  int32_t size = 0;
  bool operator==(const NodeMigPlace&) const = default;
};

struct NodeMigProfile {
  std::string name;  // "1g.5gb"
  int32_t memory_mib = 0;
  int32_t cores = 0;  // percent
  int32_t slice_count = 0;
  std::vector<NodeMigPlace> places;
  bool operator==(const NodeMigProfile&) const = default;
};

struct NodeDevice {
  std::string id;
  int32_t index = 0;
  int32_t count = 0;  // slots: how many containers may share it
  int32_t memory_mib = 0;
  int32_t cores = 0;  // 100, or more where they are oversubscribed
  std::string type;   // "NVIDIA A100-SXM4-80GB"
  int32_t numa = 0;
  std::string mode;  // "hami-core", "mig"
  bool health = false;
  std::string vendor;  // "devicevendor"; mostly empty
  std::vector<NodeMigProfile> mig_profiles;
  // Members of "custominfo" that are texts; and the others, as JSON ("7", "true").
  std::map<std::string, std::string> custom_texts;
  std::map<std::string, std::string> custom_json;

  bool operator==(const NodeDevice&) const = default;
};

// "[{"id":"GPU-a",...}]". What is absent is 0, "" or false. Unknown names are ignored; known ones
// match whatever their case, as in Go. kInvalidArgument for all of it: no array of objects, a known
// member of another type, a number beyond 32 bits, a negative index.
Result<std::vector<NodeDevice>> ParseNodeDevicesJson(std::string_view text);
std::string FormatNodeDevicesJson(const std::vector<NodeDevice>& devices);

// "DCU-1,4,32768,100,DCU-Z100L,0,true,0,hami-core:": pieces of 7 fields (index 0, mode "hami-core")
// or 9. kInvalidArgument for all of it: no ":" at all, another count of fields, a number that is
// none, a health that is no Go bool, a negative index. MIG and custom info cannot be said.
Result<std::vector<NodeDevice>> ParseNodeDevicesText(std::string_view text);
std::string FormatNodeDevicesText(const std::vector<NodeDevice>& devices);

}  // namespace hami::domain
