// SPDX-License-Identifier: Apache-2.0
//
// Who is traced: W3C Trace Context's traceparent, "00-<trace>-<span>-<flags>", in which a pod's
// admission, placing and start are joined by an annotation. Pure.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace hami::trace {

struct Context {
  std::string trace_id;  // 32 digits of lower case hex, not all 0
  std::string span_id;   // 16 of them
  bool sampled = true;

  bool operator==(const Context&) const = default;
};

// None: malformed. Versions that come later read as far as this one is in them.
std::optional<Context> ParseTraceparent(std::string_view text);
std::string FormatTraceparent(const Context& context);

// Uniform over all 64 bits.
using Random = std::function<uint64_t()>;

// Below `parent`, or the beginning of a trace.
Context NewContext(const std::optional<Context>& parent, const Random& random);

}  // namespace hami::trace
