// SPDX-License-Identifier: Apache-2.0
//
// Both figures without any lock, for moments at which a process is stopped that may hold one. What
// dead processes left is counted until somebody reaps it.

#pragma once

#include <cstdint>

#include "api/region/region.h"
#include "simgpu/state/layout.h"
#include "tests/component/harness.h"

namespace hami::component {

// What the driver has given to all clients on device 0.
class DriverView {
 public:
  explicit DriverView(const Simulation& simulation);
  ~DriverView();
  DriverView(const DriverView&) = delete;
  DriverView& operator=(const DriverView&) = delete;

  uint64_t UsedBytes() const;

 private:
  const simgpu::State* state_;
};

// What is charged on device 0. The region must exist.
class RegionView {
 public:
  explicit RegionView(const Share& share);
  ~RegionView();
  RegionView(const RegionView&) = delete;
  RegionView& operator=(const RegionView&) = delete;

  uint64_t TotalBytes() const;  // as reservations see it
  uint64_t SlotBytes() const;   // as a recount would see it

 private:
  const api::Region* region_;
};

}  // namespace hami::component
