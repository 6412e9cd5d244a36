// SPDX-License-Identifier: Apache-2.0
//
// Inside kube: what must hold for a configuration, wherever it comes from.

#pragma once

#include "base/result.h"
#include "kube/config.h"

namespace hami::kube {

// Brings the server's address into one form and refuses what config.h says is refused.
Status FinishConfig(ClusterConfig* config);

}  // namespace hami::kube
