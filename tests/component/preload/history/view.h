// SPDX-License-Identifier: Apache-2.0
//
// The driver's figure without its lock, for moments at which a process is stopped that may hold the
// lock. Clients that died are counted until somebody reaps them (Observer::UsedBytes does).

#pragma once

#include <cstdint>

#include "simgpu/state/layout.h"
#include "tests/component/harness.h"

namespace hami::component {

class View {
 public:
  explicit View(const Simulation& simulation);
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  // Of all clients on device 0.
  uint64_t UsedBytes() const;

 private:
  const simgpu::State* state_;
};

}  // namespace hami::component
