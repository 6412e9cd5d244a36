// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hami::kube {

// "2026-08-22T10:00:00Z", as metav1.Time has it.
std::string FormatTimestamp(int64_t wall_ns);

// RFC 3339 with Z or an offset, with or without fractions, which are dropped.
std::optional<int64_t> ParseTimestamp(std::string_view text);

}  // namespace hami::kube
