// SPDX-License-Identifier: Apache-2.0
//
// Devices that belong together: network groups of Ascend, AICs of Vastai.

#include <algorithm>
#include <map>

#include "base/stable_sort.h"
#include "placement/rules/rules.h"

namespace hami::placement {

std::vector<uint16_t> ChooseByGroup(const NodeView& node, std::span<const uint16_t> fitting,
                                    size_t count) {
  std::vector<std::vector<uint16_t>> groups;  // in the order in which they come first
  std::map<int32_t, size_t> places;
  std::vector<uint16_t> alone;
  for (const uint16_t number : fitting) {
    const int32_t group = node.device(number).group;
    if (group < 0) {
      alone.push_back(number);
      continue;
    }
    const auto [place, is_new] = places.emplace(group, groups.size());
    if (is_new) groups.emplace_back();
    groups[place->second].push_back(number);
  }
  // Most first.
  base::StableSortBy(&groups, [](const auto& group) { return -std::ssize(group); });
  groups.push_back(std::move(alone));
  std::vector<uint16_t> chosen;
  for (const std::vector<uint16_t>& group : groups) {
    for (const uint16_t number : group) {
      if (chosen.size() == count) return chosen;
      chosen.push_back(number);
    }
  }
  return chosen;
}

}  // namespace hami::placement
