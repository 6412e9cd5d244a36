// SPDX-License-Identifier: Apache-2.0
//
// One process's view of one region file: create or open it, complete its header, map it, take a
// slot. A file that is too short, foreign or of another version is refused or (no extension yet)
// completed; what a tenant may have written into it is never trusted beyond that.

#pragma once

#include <cstdint>

#include "api/region/region.h"
#include "region/slots.h"

namespace hami::region {

inline constexpr int kMaxPathBytes = 512;

enum class AttachError : uint8_t {
  kNone,
  kCannotOpen,  // missing directory, no permission, read-only file system
  kNotARegion,  // foreign content or a version that is not ours
  kCannotGrow,  // no space
  kCannotMap,
  kBusy,       // somebody holds the initialisation lock and does not finish
  kNoLocks,    // the file system or kernel has no open-file-description locks
  kNoSlot,     // 1024 live processes
  kUnsettled,  // somebody writes over it all the time
};
const char* Describe(AttachError error);

struct Mapping {
  api::Region* region = nullptr;
  int slot = -1;        // -1: viewing only
  uint64_t device = 0;  // identity of the file, to open the same one again
  uint64_t inode = 0;
  char path[kMaxPathBytes] = {};
};

// Maps the region at `path`. With `create` a missing file is made (mode 0666, without touching the
// umask). Takes a slot if `identity` is given. On an error `*mapping` is untouched and nothing
// stays open or mapped.
AttachError Attach(const char* path, bool create, const Identity* identity, Mapping* mapping);

// Takes a slot for a mapping that only viewed so far: maps the file a second time, through the open
// file description that will hold the slot's lock, and replaces `mapping->region`. The earlier
// mapping stays, because other threads may be reading it.
AttachError AttachSlot(const Identity& identity, Mapping* mapping);

// Frees the slots of dead processes. Returns how many. 0 also if the file cannot be opened again;
// kNeverSettles (slots.h).
int ReapDead(const Mapping& mapping);

// The same file through an open file description of its own, which the caller closes; negative: the
// path leads elsewhere now.
int ReopenFile(const Mapping& mapping);

}  // namespace hami::region
