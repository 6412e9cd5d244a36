// SPDX-License-Identifier: Apache-2.0
//
// kAllocation: the name of one decision, so that a scheduler whose Binding got no answer can tell
// its own from another's. "v1,0123456789abcdef". Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hami::domain {

// From a random number that was never used before.
std::string FormatAllocationId(uint64_t id);

// None: another version, or no id.
std::optional<uint64_t> ParseAllocationId(std::string_view text);

}  // namespace hami::domain
