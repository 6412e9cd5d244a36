// SPDX-License-Identifier: Apache-2.0

#include "share/limits_text.h"

#include <fmt/format.h>

namespace hami::share {

std::string WriteLimits(const SliceLimits& slice) {
  std::string text = fmt::format(
      "hami-limits 1\n"
      "generation 1\n"
      "device {}\n"
      "  memory {}\n"
      "  cores {}\n"
      "  policy {}\n",
      slice.device_uuid, slice.memory_bytes, slice.cores_pct, slice.policy);
  if (slice.context_bytes != 0) text += fmt::format("  context {}\n", slice.context_bytes);
  return text + "end\n";
}

}  // namespace hami::share
