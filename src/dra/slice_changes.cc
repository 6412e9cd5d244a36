// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_changes.h"

#include <algorithm>

#include "dra/slice_plan.h"

namespace hami::dra {
namespace {

using domain::ResourceSlice;

// For each wanted slice the one of `now` that shows it, or -1. One shows at most one.
std::vector<int> Match(const std::vector<ResourceSlice>& wanted,
                       const std::vector<ResourceSlice>& now, int64_t generation,
                       const std::vector<std::string>& dropped) {
  std::vector<bool> taken(now.size(), false);
  std::vector<int> match(wanted.size(), -1);
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (size_t j = 0; j < now.size(); ++j) {
      if (taken[j] || now[j].pool_generation != generation ||
          !SameContent(wanted[i], now[j], dropped)) {
        continue;
      }
      taken[j] = true;
      match[i] = static_cast<int>(j);
      break;
    }
  }
  return match;
}

int64_t HighestGeneration(const std::vector<ResourceSlice>& slices, int64_t at_least) {
  for (const ResourceSlice& slice : slices) at_least = std::max(at_least, slice.pool_generation);
  return at_least;
}

}  // namespace

SliceChanges PlanChanges(const std::optional<std::vector<ResourceSlice>>& wanted,
                         const std::vector<ResourceSlice>& now, int64_t last_generation,
                         const std::vector<std::string>& dropped) {
  SliceChanges changes;
  const int64_t highest = HighestGeneration(now, last_generation);
  if (!wanted) {
    changes.remove = now;
    changes.generation = highest;
    return changes;
  }
  const std::vector<int> match = Match(*wanted, now, highest, dropped);
  const auto matched =
      static_cast<size_t>(std::ranges::count_if(match, [](int index) { return index >= 0; }));
  // Everything that is there is right: the rest comes back as it was.
  if (highest > 0 && matched == now.size()) {
    changes.generation = highest;
    for (size_t i = 0; i < wanted->size(); ++i) {
      if (match[i] >= 0) continue;
      changes.create.push_back((*wanted)[i]);
      changes.create.back().pool_generation = highest;
    }
    return changes;
  }
  changes.generation = highest + 1;
  for (size_t i = 0; i < std::max(wanted->size(), now.size()); ++i) {
    if (i >= wanted->size()) {
      changes.remove.push_back(now[i]);
      continue;
    }
    ResourceSlice slice = (*wanted)[i];
    slice.pool_generation = changes.generation;
    if (i >= now.size()) {
      changes.create.push_back(std::move(slice));
      continue;
    }
    slice.name = now[i].name;
    slice.uid = now[i].uid;
    slice.resource_version = now[i].resource_version;
    changes.update.push_back(std::move(slice));
  }
  return changes;
}

}  // namespace hami::dra
