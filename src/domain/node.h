// SPDX-License-Identifier: Apache-2.0
//
// Nodes, as far as placing pods needs: plain values. Source: core/v1 Node, as JSON or as
// protobuf (protobuf_objects.h); both read the same.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/pod.h"
#include "json/value.h"

namespace hami::domain {

struct Taint {
  std::string key;
  std::string value;
  std::string effect;  // "NoSchedule", "PreferNoSchedule", "NoExecute"

  bool operator==(const Taint&) const = default;
};

struct Node {
  std::string name;
  std::string uid;
  std::string resource_version;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;  // but for kLastApplied
  ResourceTexts capacity;
  ResourceTexts allocatable;
  std::vector<Taint> taints;
  bool unschedulable = false;
  bool ready = false;  // condition Ready is True

  bool operator==(const Node&) const = default;
};

// kInvalidArgument if it is no node: another kind, no name.
Result<Node> ReadNode(const json::Value& object);

}  // namespace hami::domain
