// SPDX-License-Identifier: Apache-2.0
//
// For bench/cores: tenants that share a GPU, and what each of them and all together have of it.

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/cores/simulation.h"

namespace hami::bench {

struct Group {
  std::string name;
  std::vector<TenantSpec> tenants;
  std::vector<double> expected_pct;  // empty: only shown
  // The last tenant begins when the others have been measured; the first tenth of a second of its
  // time is a measurement of its own.
  bool last_comes_late = false;
};

std::vector<Group> Groups();

// Prints a few lines, and gives the record for --json.
nlohmann::json MeasureGroup(const Simulation& simulation, const Group& group,
                            const std::string& conditions);

}  // namespace hami::bench
