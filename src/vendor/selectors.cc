// SPDX-License-Identifier: Apache-2.0

#include "vendor/selectors.h"

#include "domain/name_list.h"

namespace hami::vendor {
namespace {

// A key whose value names nothing is no constraint.
std::vector<std::string> Read(const std::vector<std::string>& keys, const domain::Pod& pod) {
  for (const std::string& key : keys) {
    const auto found = pod.annotations.find(key);
    if (found == pod.annotations.end()) continue;
    std::vector<std::string> names = domain::ParseNameList(found->second);
    if (!names.empty()) return names;
  }
  return {};
}

}  // namespace

Selectors ReadSelectors(const SelectorKeys& keys, const domain::Pod& pod) {
  Selectors selectors;
  selectors.use_types = Read(keys.use_types, pod);
  selectors.avoid_types = Read(keys.avoid_types, pod);
  selectors.use_ids = Read(keys.use_ids, pod);
  selectors.avoid_ids = Read(keys.avoid_ids, pod);
  if (keys.mode.empty()) return selectors;
  if (const auto found = pod.annotations.find(keys.mode); found != pod.annotations.end()) {
    selectors.modes = found->second;
  }
  return selectors;
}

bool MatchesType(const Selectors& selectors, const Device& device) {
  if (!domain::TypeMatches(selectors.use_types, selectors.avoid_types, device.type)) return false;
  return selectors.modes.empty() || selectors.modes.find(device.mode) != std::string::npos;
}

bool MatchesId(const Selectors& selectors, const Device& device) {
  return domain::IdMatches(selectors.use_ids, selectors.avoid_ids, device.id);
}

}  // namespace hami::vendor
