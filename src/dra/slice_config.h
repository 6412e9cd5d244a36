// SPDX-License-Identifier: Apache-2.0
//
// The opaque parameters that a claim or a class can give us (config[].opaque):
//
//   apiVersion: hami.io/v1
//   kind: SliceConfig
//   corePolicy: force   # default, force, disable: GPU_CORE_UTILIZATION_POLICY of HAMi; burst: ours
//
// Everything else is refused: a parameter that is not understood would silently do nothing.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::dra {

struct SliceConfig {
  std::string core_policy = "default";
};

// kInvalidArgument, as a sentence that says what may stand there.
Result<SliceConfig> ParseSliceConfig(std::string_view parameters);

}  // namespace hami::dra
