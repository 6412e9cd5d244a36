// SPDX-License-Identifier: Apache-2.0
//
// Arrays that are made without memory and get it by mapping (sparse_arrays.cc): sparse ones tile by
// tile, deferred ones (CUDA_ARRAY3D_DEFERRED_MAPPING) as a whole.

#pragma once

#include <cstdint>

#include "api/cuda/types.h"
#include "preload/devices.h"

namespace hami::preload {

struct SparseArray {
  uint64_t key;  // the array, or the mipmapped array
  uint64_t context;
  uint64_t serial;  // from 1, below 2^24; never used again
  uint32_t width, height, depth, layers, levels;
  uint32_t tile_width, tile_height, tile_depth;  // 0: mapped as a whole
  uint32_t tail_level;                           // the first one in the mip tail
  uint32_t tail_tiles;                           // of a layer, or of all with `single_tail`
  bool single_tail;
};

// An array was made; `levels` 0: it is no mipmapped array.
void NoteSparseArray(uint64_t array, unsigned levels, const CUDA_ARRAY3D_DESCRIPTOR& shape,
                     CUcontext context);

// An array is about to go: false if it is no such array.
bool TakeSparseArray(uint64_t array, SparseArray* sparse);
void DropSparseArray(const SparseArray& sparse);     // the driver has done it
void RestoreSparseArray(const SparseArray& sparse);  // it has refused

// Gives back what was unmapped in stream order and has left by now. True: something has.
bool ReconcileSparseArrays(const Device& device);

// Forgets what a destroyed context took with it.
void ForgetSparseArraysOf(CUcontext context);

void ResetSparseArraysAfterFork();

}  // namespace hami::preload
