// SPDX-License-Identifier: Apache-2.0
//
// The ledger: how much of one device's limit is taken, kept by many processes of which any may be
// killed at any instruction.
//
// There is one word per process (its slot's charge) and one word for the device (the total, which
// is what a limit is compared with). To reserve n units a process
//   1. adds n to its own word            the intent: from here on a recount sees the claim;
//   2. adds n to the total by compare-and-swap, if the sum stays within the limit;
// and to give n back it subtracts first from its own word, then from the total. A refused request
// takes step 1 back and disturbs nobody. No lock is taken.
//
// A process that dies between the two steps leaves the two kinds of word apart. Whoever finds its
// slot ownerless clears the slot's word and recounts: the total becomes the sum of all words. The
// difficulty is to recount while others are between their two steps. Each word therefore carries an
// epoch. A recount
//   1. moves the total to epoch e+1 with the "recounting" bit set (others wait for the bit);
//   2. stamps the word of every slot that was ever used with e+1, adding up what it finds there at
//      that moment;
//   3. publishes the sum as the total of epoch e+1.
// Somebody whose step 1 changed his word in epoch e and who then meets a total of a later epoch
// knows that his word was stamped after his change, so the sum contains it and step 2 is done
// already. If he changed his word after it was stamped, its epoch is e+1 and step 2 is still to do.
// A recounter that stops (or dies) half-way is overtaken: after a bounded wait somebody else begins
// a recount of epoch e+2, and the first one notices because the words have moved on.
//
// The words are the tenant's to write, so every operation ends after a bounded time (about a
// second) whatever stands there and however often it changes. No process of ours ever writes a word
// of an epoch that has not begun, or publishes a total while a slot's word is of another epoch:
// what nobody of ours can have written is counted again, and if that never settles a reservation is
// refused. Numbers that look right are believed: a tenant can deceive its own account, and is seen
// by the driver's figure (docs/adr/0018).
//
// Proofs: ledger_test (model, threads), tests/component/region (single-stepped deaths, SIGKILL
// storms). Threading: every function may be called from any number of threads and processes.

#pragma once

#include <cstdint>

#include "api/region/region.h"

namespace hami::region {

using api::LedgerWord;

inline constexpr int kUnitBits = 40;
inline constexpr LedgerWord kUnitMask = (LedgerWord{1} << kUnitBits) - 1;
inline constexpr LedgerWord kRecountBit = LedgerWord{1} << kUnitBits;
inline constexpr int kEpochShift = kUnitBits + 1;
inline constexpr LedgerWord kEpochMask = (LedgerWord{1} << (64 - kEpochShift)) - 1;
inline constexpr uint64_t kUnlimitedUnits = kUnitMask;

constexpr uint64_t UnitsOf(LedgerWord word) { return word & kUnitMask; }
constexpr uint64_t EpochOf(LedgerWord word) { return word >> kEpochShift; }
constexpr bool IsRecounting(LedgerWord word) { return (word & kRecountBit) != 0; }
constexpr LedgerWord MakeWord(uint64_t epoch, uint64_t units) {
  return ((epoch & kEpochMask) << kEpochShift) | (units & kUnitMask);
}

// Bytes to units: a charge is rounded up, a limit is rounded down. Saturates at kUnlimitedUnits.
constexpr uint64_t ChargeUnits(uint64_t bytes) {
  const uint64_t units =
      bytes / api::kChargeUnitBytes + (bytes % api::kChargeUnitBytes != 0 ? 1 : 0);
  return units < kUnlimitedUnits ? units : kUnlimitedUnits;
}
constexpr uint64_t LimitUnits(uint64_t bytes) {
  const uint64_t units = bytes / api::kChargeUnitBytes;
  return units < kUnlimitedUnits ? units : kUnlimitedUnits;
}

// Takes `units` for `slot` on `device` if the device's total then stays within `limit_units`.
// False: refused, nothing changed.
bool Reserve(api::RegionExtension& ext, int slot, int device, uint64_t units, uint64_t limit_units);

// Whether a reservation would find room at this moment; true while a recount goes on. Who asks
// first writes no intent for what is refused anyway: an intent that a death leaves behind lasts as
// long as a forked child keeps the slot.
bool HasRoom(const api::RegionExtension& ext, int device, uint64_t units, uint64_t limit_units);

// Takes `units` whatever the total: for memory that exists already (the driver's own figure turned
// out larger than what was reserved).
void Force(api::RegionExtension& ext, int slot, int device, uint64_t units);

// Gives back what Reserve or Force took. More than the slot holds is capped (a tenant that
// scribbled over the region must not wrap a counter).
void Release(api::RegionExtension& ext, int slot, int device, uint64_t units);

// Makes the total of `device` the sum of all slots' charges. Returns when a recount that began
// after this call has been published; false: that never came. The slots need not be locked or
// alive.
bool Recount(api::RegionExtension& ext, int device);

// Recounts if the total says more than the slots do at this moment: somebody is between his two
// steps, or has died there, or a stranger wrote it. Before a refusal; true if it was counted again.
bool RecountIfUneven(api::RegionExtension& ext, int device);

// Makes the words of a slot that is about to be used, and holds nothing, belong to the current
// epochs. `slots_ever_used` must cover the slot before. False: the epochs never stood still.
bool AdoptEpochs(api::RegionExtension& ext, int slot);

// Sets the charge of a dead slot to zero without touching the total. Only for its reaper, who holds
// the slot's lock and recounts afterwards.
void ClearCharge(api::RegionExtension& ext, int slot, int device);

// Sets the word of a slot that no living process has to zero, whatever stood there, in the epoch of
// the total. Only with the slot's lock, and for who recounts afterwards.
void ResetCharge(api::RegionExtension& ext, int slot, int device);

// From now on a slot is counted, and all below it.
void CountSlot(api::RegionExtension& ext, int slot);

// For whoever meets in a device's words what no process of ours can have written: counts it in the
// region, and for this process. How often this process has.
void NoteDisturbed(api::DeviceExtension& device);
uint64_t DisturbancesSeen();

// The slots at and above this one have never been taken; they need not have disk space.
int SlotsEverUsed(const api::RegionExtension& ext);

// What is charged now, in units: the device's total and one slot's part of it, of those that have
// been taken.
uint64_t TotalUnits(const api::RegionExtension& ext, int device);
uint64_t SlotUnits(const api::RegionExtension& ext, int slot, int device);

}  // namespace hami::region
