// SPDX-License-Identifier: Apache-2.0
//
// A report for programs: the keys of docs/reference/explain.md, which stay. Amounts are whole
// numbers. Pure.

#pragma once

#include <string>

#include "explain/report.h"

namespace hami::explain {

std::string RenderJson(const Report& report);

}  // namespace hami::explain
