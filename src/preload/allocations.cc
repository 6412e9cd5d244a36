// SPDX-License-Identifier: Apache-2.0

#include "preload/allocations.h"

#include <cstddef>

#include "preload/lock.h"
#include "region/os.h"

namespace hami::preload {
namespace {

constexpr size_t kShards = 64;
constexpr size_t kFirstPlaces = 128;  // a power of two, one page and a half

struct alignas(64) Shard {
  SpinLock lock;
  Entry* places = nullptr;
  size_t place_count = 0;  // a power of two
  size_t used = 0;
};

constinit Shard shards[kShards] = {};

uint64_t Mix(EntryKind kind, uint64_t key) {
  uint64_t hash = (key ^ (static_cast<uint64_t>(kind) << 56)) * 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29);
}

Shard& ShardOf(uint64_t hash) { return shards[hash >> 58]; }

size_t HomeOf(const Shard& shard, uint64_t hash) {
  return static_cast<size_t>(hash) & (shard.place_count - 1);
}

// The entry's place, or the empty place where it would go. The shard has at least one empty place.
Entry* Locate(Shard& shard, EntryKind kind, uint64_t key, uint64_t hash) {
  for (size_t at = HomeOf(shard, hash);; at = (at + 1) & (shard.place_count - 1)) {
    Entry& place = shard.places[at];
    if (place.kind == EntryKind::kNone || (place.kind == kind && place.key == key)) return &place;
  }
}

bool Grow(Shard& shard) {
  const size_t count = shard.place_count == 0 ? kFirstPlaces : shard.place_count * 2;
  auto* places = static_cast<Entry*>(os::MapAnonymous(count * sizeof(Entry)));
  if (places == nullptr) return false;
  Shard grown;
  grown.places = places;
  grown.place_count = count;
  for (size_t i = 0; i < shard.place_count; ++i) {
    const Entry& entry = shard.places[i];
    if (entry.kind == EntryKind::kNone) continue;
    *Locate(grown, entry.kind, entry.key, Mix(entry.kind, entry.key)) = entry;
  }
  if (shard.places != nullptr) os::Unmap(shard.places, shard.place_count * sizeof(Entry));
  shard.places = places;
  shard.place_count = count;
  return true;
}

// At most three quarters full, so that probes stay short.
bool EnsureRoom(Shard& shard) {
  return (shard.used + 1) * 4 <= shard.place_count * 3 || Grow(shard);
}

// Closes the gap that a removal leaves by moving later entries of the same run back.
void Remove(Shard& shard, Entry* removed) {
  const size_t mask = shard.place_count - 1;
  auto gap = static_cast<size_t>(removed - shard.places);
  for (size_t at = (gap + 1) & mask; shard.places[at].kind != EntryKind::kNone;
       at = (at + 1) & mask) {
    const size_t home = HomeOf(shard, Mix(shard.places[at].kind, shard.places[at].key));
    // Movable if its home does not lie (cyclically) between the gap and where it is.
    if (((at - home) & mask) >= ((at - gap) & mask)) {
      shard.places[gap] = shard.places[at];
      gap = at;
    }
  }
  shard.places[gap] = Entry{};
  --shard.used;
}

}  // namespace

bool InsertEntry(const Entry& entry) {
  const uint64_t hash = Mix(entry.kind, entry.key);
  Shard& shard = ShardOf(hash);
  const SpinLock::Holder holder(shard.lock);
  if (!EnsureRoom(shard)) return false;
  Entry* place = Locate(shard, entry.kind, entry.key, hash);
  if (place->kind == EntryKind::kNone) ++shard.used;
  *place = entry;
  return true;
}

bool FindEntry(EntryKind kind, uint64_t key, Entry* entry) {
  const uint64_t hash = Mix(kind, key);
  Shard& shard = ShardOf(hash);
  const SpinLock::Holder holder(shard.lock);
  if (shard.used == 0) return false;
  const Entry* place = Locate(shard, kind, key, hash);
  if (place->kind == EntryKind::kNone) return false;
  *entry = *place;
  return true;
}

bool TakeEntry(EntryKind kind, uint64_t key, Entry* entry) {
  const uint64_t hash = Mix(kind, key);
  Shard& shard = ShardOf(hash);
  const SpinLock::Holder holder(shard.lock);
  if (shard.used == 0) return false;
  Entry* place = Locate(shard, kind, key, hash);
  if (place->kind == EntryKind::kNone) return false;
  *entry = *place;
  Remove(shard, place);
  return true;
}

uint32_t AddReference(EntryKind kind, uint64_t key, int ordinal) {
  const uint64_t hash = Mix(kind, key);
  Shard& shard = ShardOf(hash);
  const SpinLock::Holder holder(shard.lock);
  if (!EnsureRoom(shard)) return 0;
  Entry* place = Locate(shard, kind, key, hash);
  if (place->kind == EntryKind::kNone) {
    *place = Entry{};
    place->kind = kind;
    place->key = key;
    place->ordinal = static_cast<int8_t>(ordinal);
    ++shard.used;
  }
  return ++place->references;
}

int64_t DropReference(EntryKind kind, uint64_t key, Entry* removed) {
  const uint64_t hash = Mix(kind, key);
  Shard& shard = ShardOf(hash);
  const SpinLock::Holder holder(shard.lock);
  if (shard.used == 0) return -1;
  Entry* place = Locate(shard, kind, key, hash);
  if (place->kind == EntryKind::kNone) return -1;
  const uint32_t left = place->references > 0 ? --place->references : 0;
  if (left == 0) {
    *removed = *place;
    Remove(shard, place);
  }
  return left;
}

void VisitEntries(EntryKind kind, void (*visit)(void* context, const Entry& entry),
                  void* context) {
  // Copies in portions, so that no lock is held while the visitor calls the driver.
  constexpr size_t kPortion = 64;
  for (Shard& shard : shards) {
    Entry copies[kPortion];
    size_t next = 0;
    bool more = true;
    while (more) {
      size_t copied = 0;
      {
        const SpinLock::Holder holder(shard.lock);
        for (; next < shard.place_count && copied < kPortion; ++next) {
          if (shard.places[next].kind == kind) copies[copied++] = shard.places[next];
        }
        more = next < shard.place_count;
      }
      for (size_t i = 0; i < copied; ++i) visit(context, copies[i]);
    }
  }
}

void ResetAllocationsAfterFork() {
  for (Shard& shard : shards) {
    shard.lock.ResetAfterFork();
    // The table is left where it is: the parent may have been changing it at the fork.
    shard.places = nullptr;
    shard.place_count = 0;
    shard.used = 0;
  }
}

}  // namespace hami::preload
