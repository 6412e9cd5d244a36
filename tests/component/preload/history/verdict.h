// SPDX-License-Identifier: Apache-2.0
//
// The property itself.

#pragma once

#include <string>

#include "tests/component/preload/history/member.h"

namespace hami::component {

struct Figures {
  uint64_t truth = 0;    // what the driver has given to living processes
  uint64_t charged = 0;  // to them, in the region
  uint64_t total = 0;    // in the region, with what dead processes left
  uint64_t limit = 0;
};

// At any moment, also in the middle of calls: nothing is refunded early and nothing is given
// beyond the limit. "" if that holds.
std::string JudgeAlways(const Figures& figures);
// While nobody is inside a call.
std::string JudgeQuiet(const Figures& figures, const Excess& excess);
// The same, after everybody has looked at what the driver still holds and the dead were reaped:
// nothing is leaked.
std::string JudgeSettled(const Figures& figures, const Excess& excess);

}  // namespace hami::component
