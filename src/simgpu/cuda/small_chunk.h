// SPDX-License-Identifier: Apache-2.0
//
// 2 MiB of device memory that small allocations of one context and kind share, in granules of 512
// bytes. It is taken from the device when an allocation needs it and given back when its last one
// is freed.

#pragma once

#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {

inline constexpr uint32_t kGranules = kChunkBytes / kAlignment;

struct SmallChunk {
  uint64_t base;
  Context* context;
  MemoryKind kind;   // kPlain or kArray
  SmallChunk* next;  // in the context's list of chunks with room
  SmallChunk* previous;
  bool listed;
  uint32_t live;                   // allocations
  uint32_t largest_room;           // granules; an upper bound
  uint64_t used[kGranules / 64];   // bit per granule
  uint64_t first[kGranules / 64];  // bit per granule at which an allocation begins
  uint16_t odd_bytes[kGranules];   // of the allocation that begins here: granules * 512 - bytes
};

// addresses.cc: what lies in a chunk of the address range.
void EnterSmallChunk(SmallChunk* chunk);
void RemoveSmallChunk(SmallChunk* chunk);
SmallChunk* FindSmallChunk(uint64_t address);

// Every entry of the range that began at the call; `visit` may remove the one that it gets.
void ForEachEntry(Context* context, void (*visit)(Context*, Allocation*, SmallChunk*));

}  // namespace hami::simgpu::cuda
