// SPDX-License-Identifier: Apache-2.0

#include "placement/order.h"

#include <algorithm>

namespace hami::placement {

DeviceOrder::DeviceOrder(const Policy& policy) {
  const std::vector<DeviceKey>& asked = policy.device.keys;
  const bool simple = asked.size() < 2;
  const bool packs = simple && !asked.empty() && asked.front() == DeviceKey::kBinpack;
  // numa-bind puts NUMA nodes first; with plain binpack from the highest down, so that the walk
  // from the end begins with the lowest.
  if (policy.numa_bind) keys_.push_back(packs ? Key::kNumaDown : Key::kNumaUp);
  for (const DeviceKey key : asked) {
    if (key == DeviceKey::kBinpack) keys_.push_back(Key::kScoreUp);
    if (key == DeviceKey::kSpread) keys_.push_back(Key::kScoreDown);
    if (key == DeviceKey::kNuma && !policy.numa_bind) keys_.push_back(Key::kNumaUp);
  }
  if (asked.empty()) keys_.push_back(Key::kScoreDown);
}

bool DeviceOrder::SortsBefore(const DeviceRank& a, const DeviceRank& b) const {
  for (const Key key : keys_) {
    switch (key) {
      case Key::kScoreUp:
        if (a.score != b.score) return a.score < b.score;
        break;
      case Key::kScoreDown:
        if (a.score != b.score) return a.score > b.score;
        break;
      case Key::kNumaUp:
        if (a.numa != b.numa) return a.numa < b.numa;
        break;
      case Key::kNumaDown:
        if (a.numa != b.numa) return a.numa > b.numa;
        break;
    }
  }
  if (a.numa != b.numa) return a.numa < b.numa;
  return a.index < b.index;
}

void DeviceOrder::Sort(std::vector<DeviceRank>* ranks) const {
  // A handful of devices: insertion beats anything cleverer.
  for (size_t i = 1; i < ranks->size(); ++i) {
    const DeviceRank moving = (*ranks)[i];
    size_t at = i;
    for (; at > 0 && SortsBefore((*ranks)[at - 1], moving); --at) (*ranks)[at] = (*ranks)[at - 1];
    (*ranks)[at] = moving;
  }
}

}  // namespace hami::placement
