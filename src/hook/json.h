// SPDX-License-Identifier: Apache-2.0
//
// One string out of a JSON document, without memory of its own: enough to read a container's state
// and configuration. The whole document is read, so one that is cut off is never taken for whole.
// Safe on any bytes (fuzz/hook_json_fuzz.cc).

#pragma once

#include <span>
#include <string_view>

namespace hami::hook {

enum class JsonFinding {
  kFound,
  kMissing,  // no such member, or no string
  kTooLong,  // for the room given
  kBroken,   // not JSON, or nested deeper than 128
};

// The string at document[path[0]][path[1]]...; of equal members the last counts, as with the
// runtimes, which are written in Go. On kFound `out` holds it with a zero byte behind it; a string
// that has a zero byte inside is kBroken.
JsonFinding FindJsonString(std::string_view document, std::span<const std::string_view> path,
                           std::span<char> out);

}  // namespace hami::hook
