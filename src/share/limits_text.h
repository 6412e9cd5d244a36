// SPDX-License-Identifier: Apache-2.0
//
// Writes the limits file (api/limits/README.md). limits_text_test reads it back with the parser
// that the tenant's library uses.

#pragma once

#include <cstdint>
#include <string>

namespace hami::share {

struct SliceLimits {
  std::string device_uuid;
  uint64_t memory_bytes = 0;
  int cores_pct = 0;
  std::string policy = "default";
  uint64_t context_bytes = 0;  // 0: not known
};

std::string WriteLimits(const SliceLimits& slice);

}  // namespace hami::share
