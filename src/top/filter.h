// SPDX-License-Identifier: Apache-2.0
//
// What of a snapshot is wanted. A term is text that some name contains (letters of either case), or
// KEY=VALUE; all terms must hold. Pure.
//
// A slice is shown if the terms hold for it or for one of its processes; of its processes those are
// shown for which they hold together with it. A device is shown with its slices, or if the terms
// hold for it alone.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "top/snapshot.h"

namespace hami::top {

enum class FilterKey : uint8_t { kAny, kGpu, kSlice, kKind, kRung, kPid };

struct FilterTerm {
  FilterKey key = FilterKey::kAny;
  std::string value;  // small letters

  bool operator==(const FilterTerm&) const = default;
};

// "gpu=0", "train". kInvalidArgument for an unknown key.
Result<FilterTerm> ParseFilterTerm(std::string_view text);

// Terms with spaces between them.
Result<std::vector<FilterTerm>> ParseFilter(std::string_view text);

// Leaves what the terms hold for.
void ApplyFilter(const std::vector<FilterTerm>& terms, Snapshot* snapshot);

}  // namespace hami::top
