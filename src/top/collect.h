// SPDX-License-Identifier: Apache-2.0
//
// One look at everything: shares, their limits and regions, the driver. What cannot be read is said
// in the snapshot; nothing of it keeps the rest from being shown. One thread.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "top/driver_view.h"
#include "top/snapshot.h"
#include "top/sources.h"

namespace hami::top {

class Collector {
 public:
  // `paths`: only these shares; empty: all.
  Collector(Sources sources, std::vector<std::string> paths, const base::Clock& clock)
      : sources_(std::move(sources)), paths_(std::move(paths)), clock_(clock) {}

  // The first one knows nothing of what happens lately.
  const Snapshot& Look();

 private:
  void LookAtShares(Snapshot* snapshot, std::vector<std::string>* simulations) const;
  void LookAtDriver(const std::vector<std::string>& simulations, Snapshot* snapshot);

  Sources sources_;
  std::vector<std::string> paths_;
  const base::Clock& clock_;
  std::unique_ptr<DriverView> driver_;
  Snapshot last_;
  bool has_last_ = false;
};

// Puts the driver's figures beside those of the slices: devices by index and UUID, compute of
// slices whose region does not count it. Pure.
void AddDriver(const DriverLook& look, Snapshot* snapshot);

// The devices that slices name, and what is granted of each. Pure.
void SumSlices(Snapshot* snapshot);

}  // namespace hami::top
