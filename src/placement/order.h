// SPDX-License-Identifier: Apache-2.0
//
// In which order the devices of a node are tried (contract 1.7). HAMi sorts and walks from the end;
// here `SortsBefore` is its order, and walks start at the last.

#pragma once

#include <cstdint>
#include <vector>

#include "placement/request.h"

namespace hami::placement {

struct DeviceRank {
  double score = 0;  // DeviceScore
  int32_t numa = 0;
  int32_t index = 0;
  uint16_t device = 0;  // of the node
};

// The chain of keys of a policy: HAMi's simple words, its numa-bind and its chains all become one.
class DeviceOrder {
 public:
  explicit DeviceOrder(const Policy& policy);

  bool SortsBefore(const DeviceRank& a, const DeviceRank& b) const;
  // Best first.
  void Sort(std::vector<DeviceRank>* ranks) const;

 private:
  enum class Key : uint8_t { kScoreUp, kScoreDown, kNumaUp, kNumaDown };
  std::vector<Key> keys_;
};

}  // namespace hami::placement
