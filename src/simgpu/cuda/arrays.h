// SPDX-License-Identifier: Apache-2.0
//
// Arrays and mipmapped arrays. Their layout on hardware is nobody's business, so here they are rows
// one behind the other: a row takes a multiple of 64 bytes, a plane a multiple of 8 rows (assumed;
// the size of the hardware's smallest tile).

#pragma once

#include "simgpu/cuda/graphs.h"

namespace hami::simgpu::cuda {

struct Mipmap;
struct Sparse;

struct Array : Object {
  static constexpr Kind kKind = Kind::kArray;
  CUDA_ARRAY3D_DESCRIPTOR shape;  // as asked for; of a level: its own
  uint32_t element_bytes;
  uint64_t base;
  uint64_t pitch;  // bytes from row to row
  uint64_t slice;  // bytes from plane to plane
  Mipmap* mipmap;  // whose level it is; its memory is the mipmapped array's
  uint32_t level;
  Sparse* sparse;  // what is mapped into an array without memory (sparse_arrays.h); else nullptr
};

struct Mipmap : Object {
  static constexpr Kind kKind = Kind::kMipmap;
  static constexpr uint32_t kMaxLevels = 18;  // of the largest width
  uint64_t base;
  uint32_t level_count;
  Array* levels[kMaxLevels];
  Sparse* sparse;
  bool imported;  // its memory is a part of external memory (external_memory.cc)
  bool foreign;   // its memory is not of CUDA (graphics.cc), which also destroys it
};

// What creation refuses.
CUresult CheckArrayShape(const CUDA_ARRAY3D_DESCRIPTOR& shape);
// How many of the levels that are asked for are made; at most kMaxLevels.
uint32_t CountLevels(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t asked);
// Where each level begins. Returns the bytes of all.
uint64_t LayOutLevels(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t count, uint64_t* offsets);
// A mipmapped array in memory that is there.
Mipmap* NewLevels(Context* context, const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t count,
                  uint64_t base);

// A side of a copy as rows in memory: an array is replaced by where it lies. Errors: no array, or
// the block leaves it.
CUresult PlaceSide(const CopySide& side, const CopyParams& params, CopySide* placed);

}  // namespace hami::simgpu::cuda
