// SPDX-License-Identifier: Apache-2.0
//
// A map from the driver's handles to small entries, for hot paths: open addressing in 64 shards,
// each with a spin lock that is held for a few instructions. The cost of an operation does not
// depend on how many entries live. A shard grows by mapping a larger array, so an insertion
// allocates once in a doubling; if the kernel has no memory the insertion fails and the caller
// undoes what it did.
//
// Entry: trivially copyable, all zeroes when empty, with a member `uint64_t key` that is never 0 in
// use.

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "preload/lock.h"
#include "region/os.h"

namespace hami::preload {

template <typename Entry>
class Table {
 public:
  // False: no memory. Replaces an entry of the same key.
  bool Insert(const Entry& entry) {
    return Update(entry.key, [&](Entry& place) { place = entry; });
  }

  // Copies the entry out; false if there is none.
  bool Find(uint64_t key, Entry* entry) {
    Shard& shard = ShardOf(key);
    const SpinLock::Holder holder(shard.lock);
    const Entry* place = Locate(shard, key);
    if (place == nullptr || place->key == 0) return false;
    *entry = *place;
    return true;
  }

  // The same, and removes it.
  bool Take(uint64_t key, Entry* entry) {
    return Edit(key, [&](Entry& place) {
      *entry = place;
      return Verdict::kRemove;
    });
  }

  // Changes an entry under the shard's lock, making an empty one if there is none. False: no
  // memory.
  template <typename Change>
  bool Update(uint64_t key, const Change& change) {
    Shard& shard = ShardOf(key);
    const SpinLock::Holder holder(shard.lock);
    if (!EnsureRoom(shard)) return false;
    Entry* place = Locate(shard, key);
    if (place->key == 0) {
      place->key = key;
      ++shard.used;
    }
    change(*place);
    return true;
  }

  enum class Verdict : bool { kKeep, kRemove };

  // Changes an entry that exists under the shard's lock, or removes it, as `change` says. False:
  // there is none.
  template <typename Change>
  bool Edit(uint64_t key, const Change& change) {
    Shard& shard = ShardOf(key);
    const SpinLock::Holder holder(shard.lock);
    Entry* place = Locate(shard, key);
    if (place == nullptr || place->key == 0) return false;
    if (change(*place) == Verdict::kRemove) Remove(shard, place);
    return true;
  }

  // Calls `visit` with a copy of every entry. No lock is held meanwhile; entries that are inserted
  // or removed during the visit may be missed or seen twice.
  template <typename Visit>
  void VisitAll(const Visit& visit) {
    constexpr size_t kPortion = 32;
    Entry copies[kPortion];
    for (Shard& shard : shards_) {
      size_t next = 0;
      bool more = true;
      while (more) {
        const size_t copied = CopyPortion(shard, copies, kPortion, &next, &more);
        for (size_t i = 0; i < copied; ++i) visit(copies[i]);
      }
    }
  }

  // Only in a forked child, before anything else: the parent may have held a lock or been moving
  // entries. Its arrays are left where they are.
  void ResetAfterFork() {
    for (Shard& shard : shards_) {
      shard.lock.ResetAfterFork();
      shard.places = nullptr;
      shard.place_count = 0;
      shard.used = 0;
    }
  }

 private:
  struct alignas(64) Shard {
    SpinLock lock;
    Entry* places = nullptr;
    size_t place_count = 0;  // a power of two
    size_t used = 0;
  };
  // What fits into a page; a power of two also where an entry's size is none.
  static constexpr size_t kFirstPlaces = std::bit_floor(4096 / sizeof(Entry));

  static uint64_t Mix(uint64_t key) {
    const uint64_t hash = key * 0x9e3779b97f4a7c15ULL;
    return hash ^ (hash >> 29);
  }
  Shard& ShardOf(uint64_t key) { return shards_[Mix(key) >> 58]; }

  // The entry's place, or the empty place where it would go; nullptr if the shard has no array yet.
  static Entry* Locate(const Shard& shard, uint64_t key) {
    if (shard.place_count == 0) return nullptr;
    const size_t mask = shard.place_count - 1;
    for (size_t at = Mix(key) & mask;; at = (at + 1) & mask) {
      if (shard.places[at].key == 0 || shard.places[at].key == key) return &shard.places[at];
    }
  }

  // At most seven eighths full: there is always an empty place to end a search.
  static bool EnsureRoom(Shard& shard) {
    return (shard.used + 1) * 8 <= shard.place_count * 7 || Grow(shard);
  }

  static bool Grow(Shard& shard) {
    Shard grown;
    grown.place_count = shard.place_count == 0 ? kFirstPlaces : shard.place_count * 2;
    grown.places = static_cast<Entry*>(os::MapAnonymous(grown.place_count * sizeof(Entry)));
    if (grown.places == nullptr) return false;
    for (size_t i = 0; i < shard.place_count; ++i) {
      const Entry& entry = shard.places[i];
      if (entry.key != 0) *Locate(grown, entry.key) = entry;
    }
    if (shard.places != nullptr) os::Unmap(shard.places, shard.place_count * sizeof(Entry));
    shard.places = grown.places;
    shard.place_count = grown.place_count;
    return true;
  }

  // Closes the gap that a removal leaves by moving later entries of the same run back.
  static void Remove(Shard& shard, Entry* removed) {
    const size_t mask = shard.place_count - 1;
    auto gap = static_cast<size_t>(removed - shard.places);
    for (size_t at = (gap + 1) & mask; shard.places[at].key != 0; at = (at + 1) & mask) {
      const size_t home = Mix(shard.places[at].key) & mask;
      // Movable unless its home lies (cyclically) between the gap and where it is.
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        shard.places[gap] = shard.places[at];
        gap = at;
      }
    }
    shard.places[gap] = Entry{};
    --shard.used;
  }

  static size_t CopyPortion(Shard& shard, Entry* copies, size_t room, size_t* next, bool* more) {
    const SpinLock::Holder holder(shard.lock);
    size_t copied = 0;
    for (; *next < shard.place_count && copied < room; ++*next) {
      if (shard.places[*next].key != 0) copies[copied++] = shard.places[*next];
    }
    *more = *next < shard.place_count;
    return copied;
  }

  Shard shards_[64] = {};
};

// What most tables hold: a number and the CUDA ordinal of its device, in 16 bytes.
struct CountEntry {
  uint64_t key;
  uint64_t count : 56;  // bytes or references
  uint64_t ordinal : 8;
};
static_assert(sizeof(CountEntry) == 16);

}  // namespace hami::preload
