// SPDX-License-Identifier: Apache-2.0
//
// The order of slices and of their processes. Amounts come largest first, names and devices in
// their own order; equals stand by device and name, so that lines do not jump. Pure.

#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "top/snapshot.h"

namespace hami::top {

enum class SortKey : uint8_t { kGpu, kName, kMemory, kCompute, kThrottled, kRefused };

struct Order {
  SortKey key = SortKey::kGpu;
  bool reversed = false;
};

// "gpu", "name", "memory", "compute", "throttled", "refused".
std::string_view SortKeyName(SortKey key);
Result<SortKey> ParseSortKey(std::string_view name);

void ApplyOrder(const Order& order, Snapshot* snapshot);

}  // namespace hami::top
