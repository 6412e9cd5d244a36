// SPDX-License-Identifier: Apache-2.0

#include "vendor/spec.h"

#include <algorithm>

namespace hami::vendor {

std::vector<std::string> Spec::ResourceNameList() const {
  std::vector<std::string> names;
  for (const std::string* name :
       {&resources.count, &resources.memory, &resources.memory_pct, &resources.cores,
        &resources.priority, &resources.shared_count, &resources.shared_pct}) {
    if (!name->empty()) names.push_back(*name);
  }
  return names;
}

Request RequestOn(const Request& request, const Device& device) {
  Request fitted = request;
  const bool fills = device.cores > 0 && request.cores % device.cores == 0;
  if (!request.across_devices || !fills) return fitted;
  fitted.across_devices = false;
  fitted.count = request.cores / device.cores;
  fitted.cores = device.cores;
  return fitted;
}

Need NeedOn(const Spec& spec, const Request& request, const Device& device) {
  Need need;
  need.slots = request.shape.slots;
  need.memory_mib = request.memory_mib;
  if (need.memory_mib == 0) {
    need.memory_mib = static_cast<int32_t>(int64_t{device.memory_mib} * request.memory_pct / 100);
  }
  need.cores = request.cores;
  switch (spec.core_unit) {
    case CoreUnit::kPercent:
      break;
    case CoreUnit::kUnits:
      if (request.cores == 0) need.cores = device.cores;
      break;
    case CoreUnit::kPercentOfUnits: {
      const int64_t units = int64_t{device.cores} * request.cores / 100;
      need.cores =
          request.cores == 0 ? device.cores : static_cast<int32_t>(std::max<int64_t>(1, units));
      break;
    }
  }
  return need;
}

}  // namespace hami::vendor
