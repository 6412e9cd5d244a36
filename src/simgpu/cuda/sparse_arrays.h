// SPDX-License-Identifier: Apache-2.0
//
// Arrays that are made without memory (CUDA_ARRAY3D_SPARSE, CUDA_ARRAY3D_DEFERRED_MAPPING): which
// tile of one has which memory. All functions need the process' lock.

#pragma once

#include "simgpu/cuda/arrays.h"
#include "simgpu/cuda/vmm.h"

namespace hami::simgpu::cuda {

struct Sparse {
  bool deferred;      // mapped as a whole: one tile
  uint64_t tile[3];   // width, height, depth in elements
  uint64_t edges[3];  // of level 0; the depth of a stack is 1
  uint32_t levels;    // that are divided into tiles
  uint32_t layers;
  uint64_t tail_tiles;  // of a layer
  bool single_tail;     // the array is smaller than a tile: all of it is its tail
  uint64_t bytes;       // of all of it, in tiles
  uint64_t count;
  Physical** tiles;
};

// Whether the shape asks for such an array.
bool IsWithoutMemory(const CUDA_ARRAY3D_DESCRIPTOR& shape);
// CUDA_ERROR_INVALID_VALUE: arrays of that shape cannot be sparse.
CUresult MakeSparse(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t levels, Sparse** sparse);
// The memory that is mapped into it goes, if nothing else keeps it.
void DeleteSparse(Sparse* sparse);

}  // namespace hami::simgpu::cuda
