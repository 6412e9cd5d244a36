// SPDX-License-Identifier: Apache-2.0
//
// The loop at a terminal: looks, draws, waits for a key, a signal or the time of the next look.

#pragma once

#include "base/result.h"
#include "top/collect.h"
#include "top/options.h"
#include "top/terminal.h"

namespace hami::top {

// Until somebody wants it to end. A signal that ends it does so after the terminal is put back.
Status RunLive(const Options& options, Collector* collector, Terminal* terminal);

}  // namespace hami::top
