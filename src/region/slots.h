// SPDX-License-Identifier: Apache-2.0
//
// Slots: which process a charge belongs to, and whether that process is still there.
//
// A slot belongs to whoever holds the lock on its byte (kSlotLockOffset + slot) of the region file.
// The lock belongs to an open file description, as /dev/nvidia* handles do: a forked child shares
// it, exec and exit drop it, and the kernel does the dropping, whatever the way of dying. The owner
// maps the region through that same open file and then closes the descriptor: the mapping alone
// keeps the lock, so an application that closes every descriptor does not lose its slot.
// PIDs are for showing only: PID reuse and PID namespaces do not matter here.
//
// A slot that is not free and whose byte nobody holds has a dead owner. Its reaper takes the byte,
// clears the charges, recounts, marks the slot free and lets the byte go; should the reaper die
// half-way, the next one does it again.

#pragma once

#include <cstdint>

#include "api/region/region.h"

namespace hami::region {

struct Identity {
  int pid;                 // as the process sees itself
  uint64_t start_ticks;    // field 22 of /proc/self/stat, 0 if unknown
  uint64_t pid_namespace;  // inode of /proc/self/ns/pid, 0 if unknown
};

// Reads the calling process's identity from /proc.
Identity ReadIdentity();

// Takes a free slot for the open file `fd` (which must have been mapped, see mapping.h) and marks
// it active. -1: all slots are taken by live processes, or the file system has no such locks.
// kNoSpace: the file system is full. kNeverSettles: somebody writes over the region all the time.
inline constexpr int kNoSpace = -2;
inline constexpr int kNeverSettles = -3;
int ClaimSlot(api::Region& region, int fd, const Identity& identity);

// Makes sure that all look at a slot: our library, and who reads the HAMi part (the slots below
// process_count only).
void MarkUsed(api::RegionExtension& ext, int slot);
void ShowUsed(api::RegionV1& v1, int slot);

// Frees every slot whose owner is gone. `fd` must be an open file description of its own (open the
// file anew), because locks of one's own description do not conflict. Returns how many were freed;
// kNeverSettles: not all, somebody writes over the region all the time.
int ReapDeadSlots(api::Region& region, int fd);

// Whether any slot but `slot` (-1: any at all) is in use, alive or dead: cheap, and usually no.
bool HasOtherSlots(const api::Region& region, int slot);

// Makes the HAMi-visible counters of a slot follow a change of its charge.
enum class ChargeKind { kContext, kModule, kData };
void ShowCharge(api::Region& region, int slot, int device, ChargeKind kind, int64_t bytes);

}  // namespace hami::region
