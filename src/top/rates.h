// SPDX-License-Identifier: Apache-2.0
//
// What happened between two looks. Pure: counters in, percentages out. A counter that went back
// (a new region, a new owner of a slot, a tenant's pen) says nothing.

#pragma once

#include <cstdint>
#include <optional>

#include "top/snapshot.h"

namespace hami::top {

// `counted_ns` of `interval_ns`, in percent; at most 99999.
std::optional<double> PercentOf(uint64_t counted_ns, int64_t interval_ns);

// Fills in what `now` says about the time since `before`.
void CompareLooks(const Snapshot& before, Snapshot* now);

}  // namespace hami::top
