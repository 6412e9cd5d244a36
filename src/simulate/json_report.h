// SPDX-License-Identifier: Apache-2.0
//
// What a simulation found, for programs: docs/reference/simulate.md lists the keys. Pure.

#pragma once

#include <string>

#include "simulate/options.h"
#include "simulate/outcome.h"
#include "simulate/scenario.h"

namespace hami::simulate {

std::string RenderJson(const Options& options, const Scenario& scenario, const Outcome& outcome);

}  // namespace hami::simulate
