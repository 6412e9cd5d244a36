// SPDX-License-Identifier: Apache-2.0
//
// What contexts cost: charged before they exist, refunded when they are gone. A primary context is
// charged once however often it is retained.
#pragma once

namespace hami::preload {

void ResetContextsAfterFork();

}  // namespace hami::preload
