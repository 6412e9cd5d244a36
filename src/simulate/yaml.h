// SPDX-License-Identifier: Apache-2.0
//
// YAML as Kubernetes' tools read it, made JSON: several documents in a text, JSON among them. The
// items of a List are documents of their own.
// Errors say the line. Pure; yaml.cc alone knows the library, whose exceptions end there.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::simulate {

struct YamlDocument {
  size_t line = 0;   // where it starts
  std::string json;  // one value
};

// Empty documents are left out. kInvalidArgument: "pods.yaml:12: <what>"; also for texts that
// aliases would make many times as large.
Result<std::vector<YamlDocument>> ReadYaml(const std::string& file, std::string_view text);

}  // namespace hami::simulate
