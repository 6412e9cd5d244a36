// SPDX-License-Identifier: Apache-2.0
//
// What this process has taken: a map from a driver's handle (device pointer, VMM handle, mapped
// range, context, module, physical page) to how much is charged for it.
//
// Open addressing in 64 shards, each with a spin lock that is held for a few instructions; the cost
// of an operation does not depend on how many entries live. A shard grows by mapping a larger table,
// so an insertion allocates once in a doubling; if the kernel has no memory the insertion fails and
// the caller undoes the allocation.

#pragma once

#include <cstdint>

namespace hami::preload {

// Kinds have separate key spaces.
enum class EntryKind : uint8_t {
  kNone = 0,
  kMemory,       // device pointer of plain or pitched memory; bytes: its length
  kManaged,      // device pointer of managed memory; bytes: what is charged
  kPage,         // address / page size; bytes: how many allocations touch the page partly
  kPhysical,     // VMM handle; bytes: its size; references: handles + mappings
  kMapping,      // VMM address; bytes: length; other: the VMM handle
  kContext,      // context; bytes: what is charged
  kModule,       // module or library; bytes: what is charged
};

struct Entry {
  uint64_t key = 0;
  uint64_t bytes = 0;
  uint64_t other = 0;
  uint32_t references = 0;
  EntryKind kind = EntryKind::kNone;
  int8_t ordinal = -1;  // CUDA ordinal of the device
};

// False: no memory for the table. An existing entry of that kind and key is replaced.
bool InsertEntry(const Entry& entry);

// Copies the entry out; false if there is none.
bool FindEntry(EntryKind kind, uint64_t key, Entry* entry);

// The same, and removes it.
bool TakeEntry(EntryKind kind, uint64_t key, Entry* entry);

// Adds to the entry's references, making it with the given ordinal if there is none. Returns the
// count afterwards; 0: no memory for the table.
uint32_t AddReference(EntryKind kind, uint64_t key, int ordinal);

// Takes one reference away; at 0 the entry is removed and copied out. Returns the count afterwards,
// or -1 if there is no such entry.
int64_t DropReference(EntryKind kind, uint64_t key, Entry* removed);

// Calls `visit` for a copy of every entry of a kind; the table may be changed from within.
void VisitEntries(EntryKind kind, void (*visit)(void* context, const Entry& entry), void* context);

void ResetAllocationsAfterFork();

}  // namespace hami::preload
