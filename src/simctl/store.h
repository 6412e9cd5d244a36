// SPDX-License-Identifier: Apache-2.0
//
// The simulations of this machine: a folder each, <root>/<NAME>/, with
//   state                                   the shared state file
//   sim.yaml                                the effective profile
//   sys                                     where the devices hang in the PCIe tree, like sysfs
//   lib/libcuda.so.1, libcuda.so, lib/libnvidia-ml.so.1, libnvidia-ml.so, bin/nvidia-smi   links
// The root is $HAMI_STATE_DIR/sim, else /run/hami/sim for root, else $XDG_RUNTIME_DIR/hami/sim,
// else /tmp/hami-<uid>/sim.
//
// Invariant: a folder with a simulation's name is complete. It is made under a temporary name and
// renamed; two creators of one name do not meet. Not synchronised within a process.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "simgpu/profile/expand.h"
#include "simgpu/profile/profile.h"

namespace hami::simctl {

struct Simulation {
  std::string name;
  std::string folder;
  simgpu::Profile profile;
  std::vector<simgpu::ExpandedDevice> devices;

  std::string StatePath() const { return folder + "/state"; }
};

// The root for these circumstances; the pure part of Store::Open.
struct RootClues {
  const char* hami_state_dir;   // nullptr or "": not set
  const char* xdg_runtime_dir;  // likewise
  unsigned uid;
};
std::string ChooseRoot(const RootClues& clues);

Status CheckName(std::string_view name);

class Store {
 public:
  // Makes the root. kFailedPrecondition if it lies where anybody may write and is somebody else's.
  static Result<Store> Open();

  const std::string& root() const { return root_; }

  Result<Simulation> Create(const std::string& name, const simgpu::Profile& profile) const;
  Result<Simulation> Find(const std::string& name) const;
  // Sorted by name. A folder that cannot be read is left out and named in `*broken`.
  Result<std::vector<Simulation>> List(std::vector<std::string>* broken) const;

  // As after Create: memory free, clocks at zero. kFailedPrecondition while a process uses it,
  // unless forced; then that process keeps the old state to its end.
  Status Reset(const Simulation& simulation, bool force) const;
  Status Delete(const Simulation& simulation, bool force) const;

 private:
  explicit Store(std::string root) : root_(std::move(root)) {}

  std::string root_;
};

}  // namespace hami::simctl
