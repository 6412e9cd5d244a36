// SPDX-License-Identifier: Apache-2.0
//
// NVML's devices as the tenant sees them: where limits files are mounted, only the granted ones, in
// the order in which they are granted. (In HAMi's environment grants the container has only its own
// devices already.)

#pragma once

#include "api/nvml/types.h"
#include "preload/devices.h"

namespace hami::preload {

// The granted device behind an NVML handle; nullptr if the library has nothing to say about it.
Device* DeviceOfHandle(nvmlDevice_t handle);

}  // namespace hami::preload
