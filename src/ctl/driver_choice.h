// SPDX-License-Identifier: Apache-2.0
//
// Which driver a run uses: the machine's, or that of a simulation. A simulated one is used only
// when somebody asked for it: --sim, or a shell with `hami sim env` (design decision 18).

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/inventory.h"
#include "gpu/nvml.h"

namespace hami::ctl {

struct DriverChoice {
  gpu::DriverLocation location;
  std::string simulation;       // its folder; empty: a real driver
  std::string simulation_says;  // the simulation's own description of itself
  std::unique_ptr<gpu::Nvml> nvml;
  gpu::Inventory inventory;
};

struct SimulationWish {
  bool wanted = false;
  std::string name;  // empty: the only one, or a new one of the default profile
};

// kUnavailable: no driver; the message ends with the commands that would simulate one, made of
// `arguments` (what followed `hami run`).
Result<DriverChoice> ChooseDriver(const SimulationWish& wish,
                                  const std::vector<std::string>& arguments);

// `words` as a shell would take them.
std::string QuoteForShell(const std::vector<std::string>& words);

}  // namespace hami::ctl
