// SPDX-License-Identifier: Apache-2.0
//
// What the flavours of the simulated libcuda differ in besides their exports; compiled once for
// each.

#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {

extern const int kLibraryCudaVersion = HAMI_LIBRARY_CUDA_VERSION;

}  // namespace hami::simgpu::cuda
