// SPDX-License-Identifier: Apache-2.0
//
// The blocks in a pool's segments: which are free, since when, and what joins again.

#include "simgpu/cuda/pools.h"
#include "simgpu/cuda/shared.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {

Pool* all_pools;

namespace {

// More are looked through for each allocation than a lock of the machine costs.
constexpr uint32_t kManyPending = 64;
constexpr Place kAtOnce = {};

bool IsPending(const Block& block) { return block.list == &block.segment->pool->pending; }
bool IsSettled(const Block& block) { return block.list != nullptr && !IsPending(block); }
bool IsSameLane(const Place& a, const Place& b) {
  return a.context == b.context && a.lane == b.lane && a.generation == b.generation;
}

int BinOf(uint64_t bytes) { return 63 - __builtin_clzll(bytes / kAlignment); }

void PutIntoList(Block* block, Block** list) {
  block->list = list;
  block->list_previous = nullptr;
  block->list_next = *list;
  if (*list != nullptr) (*list)->list_previous = block;
  *list = block;
  if (IsPending(*block)) ++block->segment->pool->pending_count;
}

void TakeOutOfList(Block* block) {
  if (IsPending(*block)) --block->segment->pool->pending_count;
  if (block->list_previous != nullptr)
    block->list_previous->list_next = block->list_next;
  else
    *block->list = block->list_next;
  if (block->list_next != nullptr) block->list_next->list_previous = block->list_previous;
  block->list = nullptr;
}

void PutAsFree(Block* block) {
  Pool* pool = block->segment->pool;
  const bool pending = block->free_at.seq != 0;
  PutIntoList(block, pending ? &pool->pending : &pool->bins[BinOf(block->bytes)]);
}

// The entries of [from, to) in the table say `block`.
void Cover(Block* block, uint64_t from, uint64_t to) {
  const uint64_t base = block->segment->allocation.base;
  for (uint64_t at = RoundUp(from - base, kCoverBytes); at < to - base; at += kCoverBytes) {
    block->segment->covers[at / kCoverBytes] = block;
  }
}

// Splits the block's first bytes off as a block of their own, so that the usually longer rest keeps
// its entries of the table.
Block* SplitFront(Block* block, uint64_t bytes) {
  auto* front = static_cast<Block*>(AllocateZeroed(sizeof(Block)));
  front->base = block->base;
  front->bytes = bytes;
  front->segment = block->segment;
  front->next = block;
  front->previous = block->previous;
  if (front->previous != nullptr)
    front->previous->next = front;
  else
    block->segment->first = front;
  block->previous = front;
  block->base += bytes;
  block->bytes -= bytes;
  Cover(front, front->base, front->base + bytes);
  return front;
}

// Joins two neighbours, neither in a list; the longer one stays.
Block* Join(Block* left, Block* right) {
  Block* stays = left->bytes >= right->bytes ? left : right;
  Block* goes = stays == left ? right : left;
  Cover(stays, goes->base, goes->base + goes->bytes);
  if (left->free_at.seq < right->free_at.seq) left->free_at = right->free_at;
  stays->free_at = left->free_at;
  if (stays == left) {
    left->next = right->next;
    if (left->next != nullptr) left->next->previous = left;
  } else {
    right->previous = left->previous;
    if (right->previous != nullptr)
      right->previous->next = right;
    else
      right->segment->first = right;
    right->base = left->base;
  }
  stays->bytes += goes->bytes;
  Deallocate(goes);
  return stays;
}

// Settled blocks join, and pending ones of one lane: the later place holds for both.
bool CanJoin(const Block& block, const Block* other) {
  if (other == nullptr || other->list == nullptr) return false;
  if (block.free_at.seq == 0 || other->free_at.seq == 0) {
    return block.free_at.seq == other->free_at.seq;
  }
  return IsSameLane(block.free_at, other->free_at);
}

// The block is in no list; puts it and the neighbours that join it into one.
void Free(Block* block) {
  if (CanJoin(*block, block->previous)) {
    TakeOutOfList(block->previous);
    block = Join(block->previous, block);
  }
  if (CanJoin(*block, block->next)) {
    TakeOutOfList(block->next);
    block = Join(block, block->next);
  }
  PutAsFree(block);
}

// Looks which pending blocks have become free.
void Settle(Pool* pool) {
  if (pool->pending == nullptr) return;
  Block* reached = nullptr;
  {
    State& state = *process.machine.state;
    LockGuard guard(process.machine);
    AdvanceAll(state, os::NowNs());
    for (Block* block = pool->pending; block != nullptr;) {
      Block* next = block->list_next;
      if (IsReached(state, block->free_at)) {
        TakeOutOfList(block);
        block->list_next = reached;
        reached = block;
      }
      block = next;
    }
  }
  // One after the other: a block outside of all lists joins nothing, so none of these vanishes.
  while (reached != nullptr) {
    Block* block = reached;
    reached = block->list_next;
    block->free_at = kAtOnce;
    Free(block);
  }
}

Block* BestOf(Block* list, uint64_t bytes, const Place* lane, Block* best) {
  for (Block* block = list; block != nullptr; block = block->list_next) {
    if (block->bytes < bytes || (best != nullptr && best->bytes <= block->bytes)) continue;
    if (lane != nullptr && !IsSameLane(block->free_at, *lane)) continue;
    best = block;
    if (block->bytes == bytes) break;
  }
  return best;
}

Block* FindFree(Pool* pool, uint64_t bytes, const Place& here) {
  Block* best = BestOf(pool->pending, bytes, &here, nullptr);
  // Whatever lies in a higher bin is long enough, and longer than what was found in a lower one.
  Block* settled = nullptr;
  for (int bin = BinOf(bytes); bin < kBins && settled == nullptr; ++bin) {
    settled = BestOf(pool->bins[bin], bytes, nullptr, nullptr);
  }
  if (best == nullptr) return settled;
  return settled != nullptr && settled->bytes < best->bytes ? settled : best;
}

Block* Use(Block* block, uint64_t bytes) {
  Pool* pool = block->segment->pool;
  TakeOutOfList(block);
  if (block->bytes > bytes) {
    Block* rest = block;
    block = SplitFront(rest, bytes);
    PutAsFree(rest);
  }
  block->free_at = kAtOnce;
  block->id = ++process.next_id;
  pool->used += bytes;
  if (pool->used > pool->used_high) pool->used_high = pool->used;
  return block;
}

bool Grow(Pool* pool, uint64_t bytes) {
  const uint64_t size = RoundUp(bytes, kSegmentStep);
  if (pool->max_bytes != 0 && size > pool->max_bytes - pool->reserved) return false;
  if (!TakePhysical(pool->device, size)) return false;
  const uint64_t base = ReserveAddresses(size);
  if (base == 0) {
    GivePhysical(pool->device, size);
    return false;
  }
  auto* segment = static_cast<Segment*>(AllocateZeroed(sizeof(Segment)));
  segment->covers = static_cast<Block**>(AllocateZeroed(size / kCoverBytes * sizeof(Block*)));
  segment->allocation.base = base;
  segment->allocation.bytes = size;
  segment->allocation.physical_bytes = size;
  segment->allocation.device = pool->device;
  segment->allocation.kind = MemoryKind::kPool;
  segment->allocation.extra = segment;
  EnterAllocation(&segment->allocation);
  segment->pool = pool;
  segment->next = pool->segments;
  if (segment->next != nullptr) segment->next->previous = segment;
  pool->segments = segment;
  pool->reserved += size;
  if (pool->reserved > pool->reserved_high) pool->reserved_high = pool->reserved;
  auto* block = static_cast<Block*>(AllocateZeroed(sizeof(Block)));
  block->base = base;
  block->bytes = size;
  block->segment = segment;
  segment->first = block;
  Cover(block, base, base + size);
  PutAsFree(block);
  return true;
}

void DropSegment(Segment* segment) {
  Pool* pool = segment->pool;
  for (Block* block = segment->first; block != nullptr;) {
    Block* next = block->next;
    if (block->list != nullptr)
      TakeOutOfList(block);
    else
      pool->used -= block->bytes;
    Deallocate(block);
    block = next;
  }
  if (segment->previous != nullptr)
    segment->previous->next = segment->next;
  else
    pool->segments = segment->next;
  if (segment->next != nullptr) segment->next->previous = segment->previous;
  const Allocation& allocation = segment->allocation;
  pool->reserved -= allocation.physical_bytes;
  RemoveAllocation(&segment->allocation);
  ReleaseAddresses(allocation.base, allocation.physical_bytes);
  GivePhysical(pool->device, allocation.physical_bytes, allocation.shared_plus_1);
  Deallocate(segment->covers);
  Deallocate(segment);
}

void DropPool(Pool* pool) {
  while (pool->segments != nullptr) DropSegment(pool->segments);
  if (pool->previous_pool != nullptr)
    pool->previous_pool->next_pool = pool->next_pool;
  else
    all_pools = pool->next_pool;
  if (pool->next_pool != nullptr) pool->next_pool->previous_pool = pool->previous_pool;
  Deallocate(pool);
}

void TrimAll(uint32_t device) {
  for (Pool* pool = all_pools; pool != nullptr;) {
    Pool* next = pool->next_pool;
    if (pool->device == device) TrimPool(pool, 0);
    pool = next;
  }
}

}  // namespace

Block* TakeBlock(Pool* pool, uint64_t asked, const Place& here) {
  const uint64_t bytes = RoundUp(asked, kAlignment);
  if (pool->pending_count > kManyPending) Settle(pool);
  Block* found = FindFree(pool, bytes, here);
  if (found == nullptr && pool->pending != nullptr) {
    Settle(pool);
    found = FindFree(pool, bytes, here);
  }
  if (found == nullptr) {
    if (!Grow(pool, bytes)) {
      TrimAll(pool->device);
      if (!Grow(pool, bytes)) return nullptr;
    }
    found = FindFree(pool, bytes, here);
  }
  Block* taken = Use(found, bytes);
  taken->asked = asked;
  return taken;
}

void ReturnBlock(Block* block, const Place& free_at) {
  block->segment->pool->used -= block->bytes;
  block->free_at = free_at;
  Free(block);
}

Block* FindBlock(uint64_t address) {
  const Allocation* entered = FindEntered(address);
  if (entered == nullptr || entered->kind != MemoryKind::kPool) return nullptr;
  const auto* segment = static_cast<const Segment*>(entered->extra);
  Block* block = segment->covers[(address - entered->base) / kCoverBytes];
  while (block->base + block->bytes <= address) block = block->next;
  return block->list == nullptr ? block : nullptr;
}

bool FindPending(uint32_t device, Place* place) {
  for (Pool* pool = all_pools; pool != nullptr; pool = pool->next_pool) {
    if (pool->device != device || pool->pending == nullptr) continue;
    *place = pool->pending->free_at;
    return true;
  }
  return false;
}

void TrimPool(Pool* pool, uint64_t keep) {
  Settle(pool);
  for (Segment* segment = pool->segments; segment != nullptr;) {
    Segment* next = segment->next;
    const Block& first = *segment->first;
    if (first.next == nullptr && IsSettled(first) &&
        pool->reserved - segment->allocation.physical_bytes >= keep) {
      DropSegment(segment);
    }
    segment = next;
  }
  if (pool->destroyed && pool->segments == nullptr) DropPool(pool);
}

void DestroyPool(Pool* pool) {
  Unregister(pool);
  pool->destroyed = true;
  TrimPool(pool, 0);
}

bool FindInPool(const Allocation& segment, uint64_t address, Allocation* found) {
  const Block* block = FindBlock(address);
  if (block == nullptr) return false;
  *found = segment;
  found->base = block->base;
  found->bytes = block->asked;
  found->physical_bytes = block->bytes;
  found->buffer_id = block->id;
  found->extra = block->segment->pool;
  return true;
}

void TrimPoolsAfterSynchronisation(uint32_t device) {
  for (Pool* pool = all_pools; pool != nullptr;) {
    Pool* next = pool->next_pool;
    const uint64_t keep = pool->destroyed ? 0 : pool->threshold;
    // Full pools are not worth a look; it is asked after every synchronisation.
    const bool has_room = pool->reserved - pool->used >= kSegmentStep;
    if (pool->device == device && pool->reserved > keep && has_room) TrimPool(pool, keep);
    pool = next;
  }
}

void ReleasePools(uint32_t device) {
  ReleaseImportedPointers(device);
  SetCurrentPool(device, nullptr);
  for (Pool* pool = all_pools; pool != nullptr;) {
    Pool* next = pool->next_pool;
    if (pool->device == device) {
      while (pool->segments != nullptr) DropSegment(pool->segments);
      pool->reserved_high = 0;
      pool->used_high = 0;
      pool->threshold = 0;
      if (!pool->is_default) {
        if (!pool->destroyed) Unregister(pool);
        DropPool(pool);
      }
    }
    pool = next;
  }
}

}  // namespace hami::simgpu::cuda
