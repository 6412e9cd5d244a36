// SPDX-License-Identifier: Apache-2.0
//
// Multicast objects: handles as those of physical memory, without memory of their own. What is
// bound to one is kept alive by the binding.

#pragma once

#include "simgpu/cuda/vmm.h"

namespace hami::simgpu::cuda {

// The object is going: nothing is bound to it any more.
void DropBindings(Multicast* multicast);

// All devices of the team are there; only then may memory be bound and the object be mapped.
bool IsComplete(const Multicast& multicast);

}  // namespace hami::simgpu::cuda
