// SPDX-License-Identifier: Apache-2.0
//
// What a simulation found, for people. Pure.

#pragma once

#include <string>

#include "simulate/options.h"
#include "simulate/outcome.h"
#include "simulate/scenario.h"

namespace hami::simulate {

std::string RenderText(const Options& options, const Scenario& scenario, const Outcome& outcome);

}  // namespace hami::simulate
