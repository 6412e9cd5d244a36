// SPDX-License-Identifier: Apache-2.0
//
// What loaded code costs (modules.cc).

#pragma once

namespace hami::preload {

void ResetModulesAfterFork();

}  // namespace hami::preload
