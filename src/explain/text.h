// SPDX-License-Identifier: Apache-2.0
//
// A report for people. Pure.

#pragma once

#include <string>

#include "explain/report.h"

namespace hami::explain {

std::string RenderText(const Report& report);

}  // namespace hami::explain
