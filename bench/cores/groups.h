// SPDX-License-Identifier: Apache-2.0
//
// For bench/cores: tenants that share a GPU, and what each of them and all together have of it.

#pragma once

#include <string>
#include <vector>

#include "bench/simulation/simulation.h"

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

// Percent of the GPU's time, by tenant.
struct GroupOutcome {
  std::vector<double> arrival_pct;  // of the first tenth of a second of the one that comes late
  std::vector<double> had_pct;
  double worst_error = 0;
};

// Prints what it finds.
GroupOutcome MeasureGroup(const Simulation& simulation, const Group& group);

}  // namespace hami::bench
