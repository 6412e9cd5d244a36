// SPDX-License-Identifier: Apache-2.0
//
// Pools of stream-ordered memory. A pool belongs to the process and a device and takes physical
// memory in segments of 32 MiB or a multiple; blocks of 512 bytes or a multiple lie in them. A
// freed block remembers the place of the timeline at which it becomes free: work that is queued
// behind it in the same stream may have it at once, everybody else when the place is reached.
//
// All functions need the process' lock.

#pragma once

#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

inline constexpr uint64_t kSegmentStep = 32 * kMib;
inline constexpr uint64_t kCoverBytes = 256 << 10;
inline constexpr int kBins = 56;  // free blocks by the logarithm of their size in granules

struct Segment;

struct Block {
  uint64_t base;
  uint64_t bytes;
  uint64_t asked;
  uint64_t id;    // of the allocation
  Place free_at;  // of a pending block
  Segment* segment;
  Block* next;  // in the segment, by address
  Block* previous;
  Block* list_next;  // in the list below, of free blocks
  Block* list_previous;
  Block** list;  // nullptr: the block is in use
};

struct Segment {
  Allocation allocation;
  Pool* pool;
  Segment* next;
  Segment* previous;
  Block* first;
  Block** covers;  // for every kCoverBytes: the block that its first byte lies in
};

struct Pool : Object {
  static constexpr Kind kKind = Kind::kPool;
  uint32_t device;
  bool is_default;
  bool on_host;       // device is 0 and means nothing
  bool destroyed;     // waits for its last allocation; no handle any more
  bool shareable;     // can be exported to other processes
  bool imported;      // of another process: takes no allocations
  uint64_t share_id;  // by which others know it (ipc_pools.cc); 0: not exported
  uint64_t max_bytes;
  uint64_t threshold;
  int reuse[3];  // CU_MEMPOOL_ATTR_REUSE_*, as set
  uint64_t reserved;
  uint64_t reserved_high;
  uint64_t used;
  uint64_t used_high;
  uint8_t access[kMaxDevices];  // CUmemAccess_flags, by the machine's devices
  Pool* next_pool;
  Pool* previous_pool;
  Segment* segments;
  Block* pending;  // freed, and nobody saw their place reached yet
  uint32_t pending_count;
  Block* bins[kBins];
};

// The pools of all devices, those that wait for their last allocation included.
extern Pool* all_pools;

Pool* MakePool(uint32_t device);
Pool* DefaultPool(uint32_t device);
Pool* CurrentPool(uint32_t device);
void SetCurrentPool(uint32_t device, Pool* pool);
// Of the host's memory (CUDA 12.2; default and current CUDA 13.0).
Pool* DefaultHostPool();

// A block for work in the stream that ends at `here`; nullptr: does not fit, also after the unused
// memory of the device's pools was given back.
Block* TakeBlock(Pool* pool, uint64_t bytes, const Place& here);
// The block becomes free at the place; one with seq 0 is at once.
void ReturnBlock(Block* block, const Place& free_at);
// The block in use that the address lies in; nullptr: none, or no address of a pool.
Block* FindBlock(uint64_t address);

// A place that has to be reached before a pending block of the device's pools becomes free. False:
// there is none.
bool FindPending(uint32_t device, Place* place);

// Gives whole free segments back as long as `keep` bytes stay. A destroyed pool goes with its last
// one: do not use it afterwards.
void TrimPool(Pool* pool, uint64_t keep);

}  // namespace hami::simgpu::cuda
