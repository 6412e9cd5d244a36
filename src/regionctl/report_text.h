// SPDX-License-Identifier: Apache-2.0
//
// A region's report for people and for programs.

#pragma once

#include <cstdint>
#include <string>

#include "base/json_writer.h"
#include "regionctl/report.h"

namespace hami::regionctl {

// Several lines. `now_s`: Unix seconds.
std::string TextOf(const RegionReport& report, int64_t now_s);

// Its problems, a line each; "" if there are none.
std::string ProblemsOf(const RegionReport& report);

// One object.
void WriteJson(const RegionReport& report, base::JsonWriter* json);

}  // namespace hami::regionctl
