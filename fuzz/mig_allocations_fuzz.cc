// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the MIG allocations of a pod. What must hold: what is accepted names a GPU, a
// profile and a piece of the GPU each, no device of a container twice, and reads the same again.

#include <stdint.h>
#include <stdlib.h>

#include <set>
#include <string_view>
#include <utility>

#include "domain/mig_allocations.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  namespace domain = hami::domain;
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  const auto allocations = domain::ParseMigAllocations(text);
  if (!allocations) {
    if (allocations.error().message.empty()) abort();
    return 0;
  }
  std::set<std::pair<int32_t, int32_t>> seen;
  for (const domain::MigAllocation& allocation : *allocations) {
    if (!seen.emplace(allocation.container, allocation.device).second) abort();
    if (allocation.container < 0 || allocation.device < 0 || allocation.gpu.empty()) abort();
    const domain::MigPlacement& placement = allocation.placement;
    if (placement.profile.empty() || placement.start < 0 || placement.size < 1) abort();
    if (placement.mig_uuid.empty() != (placement.gpu_instance < 0)) abort();
  }
  if (domain::ParseMigAllocations(domain::FormatMigAllocations(*allocations)).value() !=
      *allocations) {
    abort();
  }
  return 0;
}
