// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the opaque parameters of a claim, which any user of the cluster writes. What must
// hold: no read outside, no hang, no exception; what is accepted is one of the policies, and what
// is refused is refused with a sentence.

#include <stdint.h>
#include <stdlib.h>

#include <cstddef>
#include <string_view>

#include "dra/slice_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  const auto config = hami::dra::ParseSliceConfig(text);
  if (!config) {
    if (config.error().message.empty()) abort();
    return 0;
  }
  const std::string& policy = config->core_policy;
  if (policy != "default" && policy != "force" && policy != "disable" && policy != "burst") {
    abort();
  }
  if (text.find("SliceConfig") == std::string_view::npos &&
      text.find('\\') == std::string_view::npos) {
    abort();
  }
  return 0;
}
