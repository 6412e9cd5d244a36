// SPDX-License-Identifier: Apache-2.0
//
// What `hami top` shows of local runs: where they lie, what their bookings say, and which driver
// has their devices. It may be called for a state folder that somebody else has made.

#pragma once

#include <string>

#include "top/sources.h"

namespace hami::ctl {

// `state_path`: as ChooseStateFolder says; it need not be there.
top::Sources TopSources(const std::string& state_path);

}  // namespace hami::ctl
