// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a container's state or configuration. What must hold: no read outside, no hang, what
// is found ends inside the room, and a document that is cut off anywhere is never taken for whole.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cstddef>
#include <string_view>

#include "hook/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using hami::hook::FindJsonString;
  using hami::hook::JsonFinding;
  constexpr std::string_view kPath[] = {"root", "path"};
  const std::string_view document(reinterpret_cast<const char*>(data), bytes);
  char out[32];
  memset(out, 'x', sizeof(out));
  const JsonFinding finding = FindJsonString(document, kPath, out);
  if (finding == JsonFinding::kFound && strnlen(out, sizeof(out)) == sizeof(out)) abort();
  // The last byte of a document that begins as an object is its bracket.
  if (finding != JsonFinding::kBroken && document.starts_with('{')) {
    const std::string_view cut = document.substr(0, document.rfind('}'));
    if (FindJsonString(cut, kPath, out) != JsonFinding::kBroken) abort();
  }
  return 0;
}
