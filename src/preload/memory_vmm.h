// SPDX-License-Identifier: Apache-2.0
//
// Physical memory and its mappings (memory_vmm.cc).

#pragma once

namespace hami::preload {

void ResetVmmAfterFork();

}  // namespace hami::preload
