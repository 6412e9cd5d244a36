// SPDX-License-Identifier: Apache-2.0

#include "region/ledger.h"

#include <atomic>

#include "region/os.h"

namespace hami::region {
namespace {

using Atomic = std::atomic_ref<LedgerWord>;

// atomic_ref<const T> is C++26; loads through this cast change nothing.
Atomic Ref(const LedgerWord& word) { return Atomic(const_cast<LedgerWord&>(word)); }

// How long a caller waits for somebody else's recount (tens of microseconds of work) before it
// concludes that the recounter is stopped or dead.
constexpr uint64_t kRecountPatienceNs = 2'000'000;

uint64_t Saturated(uint64_t from, uint64_t units) { return from > units ? from - units : 0; }

bool IsAfter(uint64_t epoch, uint64_t other) {
  const uint64_t distance = (epoch - other) & kEpochMask;
  return distance != 0 && distance <= kEpochMask / 2;
}

// Step 1 of taking: changes a slot's word and tells the epoch in which that happened. False if the
// word cannot hold as much.
bool AddToSlot(LedgerWord& word, uint64_t units, uint64_t* epoch) {
  Atomic own = Ref(word);
  LedgerWord seen = own.load(std::memory_order_relaxed);
  do {
    if (units > kUnitMask - UnitsOf(seen)) return false;
  } while (!own.compare_exchange_weak(seen, MakeWord(EpochOf(seen), UnitsOf(seen) + units),
                                      std::memory_order_acq_rel, std::memory_order_relaxed));
  *epoch = EpochOf(seen);
  return true;
}

// Step 1 of giving back: at most what the slot holds; *units says how much that was.
uint64_t SubtractFromSlot(LedgerWord& word, uint64_t* units) {
  Atomic own = Ref(word);
  LedgerWord seen = own.load(std::memory_order_relaxed);
  uint64_t taken;
  do {
    taken = UnitsOf(seen) < *units ? UnitsOf(seen) : *units;
  } while (!own.compare_exchange_weak(seen, MakeWord(EpochOf(seen), UnitsOf(seen) - taken),
                                      std::memory_order_acq_rel, std::memory_order_relaxed));
  *units = taken;
  return EpochOf(seen);
}

void BeginAndFinishRecount(api::RegionExtension& ext, int device, LedgerWord seen);

// Waits until the total is not being recounted, taking over from a recounter that has stopped.
LedgerWord AwaitTotal(api::RegionExtension& ext, int device) {
  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = total.load(std::memory_order_acquire);
  if (!IsRecounting(seen)) [[likely]] {
    return seen;
  }
  uint64_t watched_epoch = EpochOf(seen);
  uint64_t deadline = os::NowNs() + kRecountPatienceNs;
  while (IsRecounting(seen)) {
    if (EpochOf(seen) != watched_epoch) {
      watched_epoch = EpochOf(seen);
      deadline = os::NowNs() + kRecountPatienceNs;
    } else if (os::NowNs() > deadline) {
      BeginAndFinishRecount(ext, device, seen);
    }
    os::Yield();
    seen = total.load(std::memory_order_acquire);
  }
  return seen;
}

// Step 2 of giving back: skipped when a recount has stamped the slot after step 1.
void SubtractFromTotal(api::RegionExtension& ext, int device, uint64_t units, uint64_t epoch) {
  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = AwaitTotal(ext, device);
  while (EpochOf(seen) == epoch) {
    const LedgerWord next = MakeWord(epoch, Saturated(UnitsOf(seen), units));
    if (total.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      return;
    }
    seen = AwaitTotal(ext, device);
  }
}

// `seen` is the total as last read. Returns without effect if somebody else was faster.
void BeginAndFinishRecount(api::RegionExtension& ext, int device, LedgerWord seen) {
  Atomic total = Ref(ext.devices[device].total);
  const uint64_t epoch = (EpochOf(seen) + 1) & kEpochMask;
  const LedgerWord begun = MakeWord(epoch, UnitsOf(seen)) | kRecountBit;
  if (!total.compare_exchange_strong(seen, begun, std::memory_order_seq_cst)) return;

  // Read after the total has moved on: whoever takes a new slot from here on adopts the new epoch.
  const int count = SlotsEverUsed(ext);
  uint64_t sum = 0;
  for (int slot = 0; slot < count; ++slot) {
    Atomic charge = Ref(ext.slots[slot].charge[device]);
    LedgerWord word = charge.load(std::memory_order_acquire);
    do {
      if (IsAfter(EpochOf(word), epoch)) return;  // overtaken by a later recount
    } while (!charge.compare_exchange_weak(word, MakeWord(epoch, UnitsOf(word)),
                                           std::memory_order_acq_rel, std::memory_order_acquire));
    sum += UnitsOf(word);
  }
  LedgerWord expected = begun;
  total.compare_exchange_strong(expected, MakeWord(epoch, sum < kUnitMask ? sum : kUnitMask),
                                std::memory_order_acq_rel);
}

}  // namespace

int SlotsEverUsed(const api::RegionExtension& ext) {
  auto& counter = const_cast<uint32_t&>(ext.slots_ever_used);
  const uint32_t used = std::atomic_ref(counter).load(std::memory_order_seq_cst);
  return used < api::kMaxProcesses ? static_cast<int>(used) : api::kMaxProcesses;
}

bool HasRoom(const api::RegionExtension& ext, int device, uint64_t units, uint64_t limit_units) {
  const LedgerWord total = Ref(ext.devices[device].total).load(std::memory_order_relaxed);
  if (IsRecounting(total)) return true;
  const uint64_t taken = UnitsOf(total);
  return taken <= limit_units && units <= limit_units - taken;
}

bool Reserve(api::RegionExtension& ext, int slot, int device, uint64_t units,
             uint64_t limit_units) {
  LedgerWord& own = ext.slots[slot].charge[device];
  uint64_t epoch;
  if (!AddToSlot(own, units, &epoch)) return false;

  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = AwaitTotal(ext, device);
  while (EpochOf(seen) == epoch) {
    const uint64_t taken = UnitsOf(seen);
    if (taken > limit_units || units > limit_units - taken) {
      // Take the intent back. Should a recount stamp the slot in between, the total contains it.
      const uint64_t undone_in = SubtractFromSlot(own, &units);
      if (undone_in != epoch) SubtractFromTotal(ext, device, units, undone_in);
      return false;
    }
    if (total.compare_exchange_weak(seen, MakeWord(epoch, taken + units), std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return true;
    }
    if (IsRecounting(seen)) seen = AwaitTotal(ext, device);
  }
  // A recount has counted the intent already. It does not ask for limits; we do.
  if (UnitsOf(seen) <= limit_units) return true;
  Release(ext, slot, device, units);
  return false;
}

void Force(api::RegionExtension& ext, int slot, int device, uint64_t units) {
  uint64_t epoch;
  if (!AddToSlot(ext.slots[slot].charge[device], units, &epoch)) return;
  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = AwaitTotal(ext, device);
  while (EpochOf(seen) == epoch) {
    const uint64_t room = kUnitMask - UnitsOf(seen);
    const LedgerWord next = MakeWord(epoch, UnitsOf(seen) + (units < room ? units : room));
    if (total.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return;
    }
    if (IsRecounting(seen)) seen = AwaitTotal(ext, device);
  }
}

void Release(api::RegionExtension& ext, int slot, int device, uint64_t units) {
  const uint64_t epoch = SubtractFromSlot(ext.slots[slot].charge[device], &units);
  SubtractFromTotal(ext, device, units, epoch);
}

void Recount(api::RegionExtension& ext, int device) {
  LedgerWord seen = AwaitTotal(ext, device);
  const uint64_t before = EpochOf(seen);
  while (EpochOf(seen) == before) {
    BeginAndFinishRecount(ext, device, seen);
    seen = AwaitTotal(ext, device);
  }
}

void AdoptEpochs(api::RegionExtension& ext, int slot) {
  for (int device = 0; device < api::kMaxDevices; ++device) {
    Atomic total = Ref(ext.devices[device].total);
    Atomic own = Ref(ext.slots[slot].charge[device]);
    uint64_t epoch;
    do {
      epoch = EpochOf(AwaitTotal(ext, device));
      own.store(MakeWord(epoch, 0), std::memory_order_seq_cst);
      // A recount that has begun meanwhile may have passed this slot by.
    } while (EpochOf(total.load(std::memory_order_seq_cst)) != epoch);
  }
}

void ClearCharge(api::RegionExtension& ext, int slot, int device) {
  uint64_t all = kUnitMask;
  SubtractFromSlot(ext.slots[slot].charge[device], &all);
}

void ResetCharge(api::RegionExtension& ext, int slot, int device) {
  const LedgerWord total = Ref(ext.devices[device].total).load(std::memory_order_seq_cst);
  Ref(ext.slots[slot].charge[device]).store(MakeWord(EpochOf(total), 0), std::memory_order_seq_cst);
}

uint64_t TotalUnits(const api::RegionExtension& ext, int device) {
  return UnitsOf(Ref(ext.devices[device].total).load(std::memory_order_acquire));
}

uint64_t SlotUnits(const api::RegionExtension& ext, int slot, int device) {
  return UnitsOf(Ref(ext.slots[slot].charge[device]).load(std::memory_order_acquire));
}

}  // namespace hami::region
