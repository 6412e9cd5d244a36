// SPDX-License-Identifier: Apache-2.0
//
// What has to be done so that the API shows what a node should publish. Pure.
//
// Readers of a pool use the slices of its highest generation and wait until all of them are there
// (resourceSliceCount). So when content changes every slice gets the next generation; when only
// some are missing (somebody deleted them; the kubelet deletes all when it starts) those come back
// with the generation they had.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/resource_slice.h"

namespace hami::dra {

struct SliceChanges {
  std::vector<domain::ResourceSlice> create;  // without names
  std::vector<domain::ResourceSlice> update;  // with the name and version of what they replace
  std::vector<domain::ResourceSlice> remove;
  int64_t generation = 0;  // of the pool after it

  bool empty() const { return create.empty() && update.empty() && remove.empty(); }
};

// `wanted`: nullopt, nothing may be published. `now`: the slices of this driver and node.
// `last_generation`: of the pool as it was left last; 0: not known. `dropped`: gates whose fields
// the server is known to throw away (slice_plan.h).
SliceChanges PlanChanges(const std::optional<std::vector<domain::ResourceSlice>>& wanted,
                         const std::vector<domain::ResourceSlice>& now, int64_t last_generation,
                         const std::vector<std::string>& dropped);

}  // namespace hami::dra
