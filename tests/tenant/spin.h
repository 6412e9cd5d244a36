// SPDX-License-Identifier: Apache-2.0
//
// A kernel that keeps the GPU busy for a chosen time, on a real GPU and on the simulated one. It is
// PTX text that counts; a real GPU is calibrated once by events, the simulation takes one
// nanosecond for a count because its kernel rule for `hami_spin` says so (src/simgpu/profiles).

#pragma once

#include <cstdint>

#include "tests/tenant/driver.h"

namespace hami::tenant {

class Spin {
 public:
  // Needs a current context. Exits with a message if the module does not load.
  explicit Spin(const Driver& driver);

  // Starts a kernel that runs for about `gpu_ns` on the whole device.
  CUresult Launch(CUstream stream, uint64_t gpu_ns) const;

  // What is launched from now on has so many blocks; by itself, as many as fill any device.
  void UseBlocks(unsigned blocks) { blocks_ = blocks; }

 private:
  uint64_t CountsFor(uint64_t gpu_ns) const;

  const Driver& driver_;
  CUfunction function_ = nullptr;
  unsigned blocks_;
  double counts_per_ns_ = 1.0;
};

}  // namespace hami::tenant
