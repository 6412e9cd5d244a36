// SPDX-License-Identifier: Apache-2.0
//
// Points in time as Kubernetes writes them (RFC 3339), as nanoseconds since 1970. Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hami::base {

// "2026-08-22T10:00:00Z", as metav1.Time has it.
std::string FormatTimestamp(int64_t wall_ns);

// "2026-08-22T10:00:00.123456Z", as metav1.MicroTime has it; rounded down, not before
// 1970.
std::string FormatMicroTimestamp(int64_t wall_ns);

// With Z or an offset, with or without a fraction; what is finer than a nanosecond is dropped,
// what is later than 2262 is the last nanosecond that there is.
std::optional<int64_t> ParseTimestamp(std::string_view text);

}  // namespace hami::base
