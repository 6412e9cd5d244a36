// SPDX-License-Identifier: Apache-2.0
//
// Reads an image from a file.

#pragma once

namespace hami::simgpu::cuda {

// The whole file with a zero behind it, to be given to Deallocate; nullptr if it cannot be read.
void* ReadFile(const char* path);

}  // namespace hami::simgpu::cuda
