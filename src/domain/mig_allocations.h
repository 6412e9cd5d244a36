// SPDX-License-Identifier: Apache-2.0
//
// kMigAllocations: which MIG instances the containers of a pod have (contract hami-control-plane.md
// 2.3). Pure.
//
//   [{"containerIndex":0,"deviceIndex":0,"gpuUUID":"GPU-a","profile":"2g.10gb",
//     "placement":{"start":2,"size":2},
//     "migUUID":"MIG-5f3c..","gpuInstanceID":5,"computeInstanceID":0}]

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/allocation.h"

namespace hami::domain {

struct MigAllocation {
  int32_t container = 0;  // of Pod::containers
  int32_t device = 0;     // of that container's devices
  std::string gpu;        // its id
  MigPlacement placement;

  bool operator==(const MigAllocation&) const = default;
};

// kInvalidArgument for all of it: no array of objects, a member of another type, the same device of
// a container twice, a negative index, no GPU, no profile, a size below 1, a negative start, or
// some but not all of the three members that the node adds.
Result<std::vector<MigAllocation>> ParseMigAllocations(std::string_view text);

std::string FormatMigAllocations(const std::vector<MigAllocation>& allocations);

}  // namespace hami::domain
