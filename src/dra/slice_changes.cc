// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_changes.h"

#include <algorithm>
#include <limits>
#include <utility>

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
  changes.generation = highest == std::numeric_limits<int64_t>::max() ? 1 : highest + 1;
  size_t next = 0;
  for (const ResourceSlice& old : now) {
    // The API lets nobody change a slice's pool.
    if (next == wanted->size() || old.pool_name != (*wanted)[next].pool_name) {
      changes.remove.push_back(old);
      continue;
    }
    ResourceSlice slice = (*wanted)[next++];
    slice.pool_generation = changes.generation;
    slice.name = old.name;
    slice.uid = old.uid;
    slice.resource_version = old.resource_version;
    changes.update.push_back(std::move(slice));
  }
  for (; next < wanted->size(); ++next) {
    changes.create.push_back((*wanted)[next]);
    changes.create.back().pool_generation = changes.generation;
  }
  return changes;
}

}  // namespace hami::dra
