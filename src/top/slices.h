// SPDX-License-Identifier: Apache-2.0
//
// The slices of one share: limits from the file that the tenant cannot write, what is used from the
// region, which it can. Every number and text of a region is a claim; what it says of the limits is
// not looked at where there is a limits file.

#pragma once

#include <optional>
#include <vector>

#include "top/find_shares.h"
#include "top/snapshot.h"
#include "top/sources.h"

namespace hami::top {

// One for each device of the share, also if its region cannot be read (Slice::problem).
std::vector<Slice> ReadSlices(const Share& share, const std::optional<RunNote>& note);

}  // namespace hami::top
