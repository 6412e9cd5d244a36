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

// How long one operation tries before it gives up: far beyond what processes of ours can cause by
// their number, so somebody writes over the words all the time.
constexpr uint64_t kPatienceNs = 1'000'000'000;

constexpr int kMostTries = 1000;

constinit std::atomic<uint64_t> disturbances = 0;  // seen by this process

// Bounds one operation.
class Patience {
 public:
  // For loops of a few instructions: looks at the clock now and then.
  bool IsOver() { return ++tries_ % kTriesPerLook == 0 && IsOverAt(os::NowNs()); }
  // Time alone does not count: who was stopped or starved meanwhile has not looked.
  bool IsOverAt(uint64_t now_ns) {
    if (deadline_ns_ == 0) deadline_ns_ = now_ns + kPatienceNs;
    return ++looks_ > kLeastLooks && now_ns > deadline_ns_;
  }

 private:
  static constexpr uint32_t kTriesPerLook = 64;
  static constexpr uint32_t kLeastLooks = 100;
  uint32_t tries_ = 0;
  uint32_t looks_ = 0;
  uint64_t deadline_ns_ = 0;
};

uint64_t Saturated(uint64_t from, uint64_t units) { return from > units ? from - units : 0; }

bool IsAfter(uint64_t epoch, uint64_t other) {
  const uint64_t distance = (epoch - other) & kEpochMask;
  return distance != 0 && distance <= kEpochMask / 2;
}

// Step 1 of taking: changes a slot's word and tells the epoch in which that happened. False if the
// word cannot hold as much.
bool AddToSlot(LedgerWord& word, uint64_t units, Patience& patience, uint64_t* epoch) {
  Atomic own = Ref(word);
  LedgerWord seen = own.load(std::memory_order_relaxed);
  do {
    if (units > kUnitMask - UnitsOf(seen) || patience.IsOver()) return false;
  } while (!own.compare_exchange_weak(seen, MakeWord(EpochOf(seen), UnitsOf(seen) + units),
                                      std::memory_order_acq_rel, std::memory_order_relaxed));
  *epoch = EpochOf(seen);
  return true;
}

// Step 1 of giving back: at most what the slot holds; *units says how much that was.
uint64_t SubtractFromSlot(LedgerWord& word, Patience& patience, uint64_t* units) {
  Atomic own = Ref(word);
  LedgerWord seen = own.load(std::memory_order_relaxed);
  uint64_t taken;
  do {
    taken = UnitsOf(seen) < *units ? UnitsOf(seen) : *units;
    if (patience.IsOver()) taken = 0;
  } while (taken != 0 &&
           !own.compare_exchange_weak(seen, MakeWord(EpochOf(seen), UnitsOf(seen) - taken),
                                      std::memory_order_acq_rel, std::memory_order_relaxed));
  *units = taken;
  return EpochOf(seen);
}

// `seen` is the total as last read. Returns without effect if somebody else was faster.
void BeginAndFinishRecount(api::RegionExtension& ext, int device, LedgerWord seen,
                           Patience& patience) {
  Atomic total = Ref(ext.devices[device].total);
  const uint64_t epoch = (EpochOf(seen) + 1) & kEpochMask;
  const LedgerWord begun = MakeWord(epoch, UnitsOf(seen)) | kRecountBit;
  if (!total.compare_exchange_strong(seen, begun, std::memory_order_seq_cst)) return;

  // Read after the total has moved on: whoever takes a new slot from here on adopts the new epoch.
  const int count = SlotsEverUsed(ext);
  uint64_t sum = 0;
  bool disturbed = false;
  for (int slot = 0; slot < count; ++slot) {
    Atomic charge = Ref(ext.slots[slot].charge[device]);
    LedgerWord word = charge.load(std::memory_order_acquire);
    do {
      if (patience.IsOver()) return;
      if (!IsAfter(EpochOf(word), epoch)) continue;
      // The total moves on before any slot does: a later recount, or no word of ours.
      if (total.load(std::memory_order_seq_cst) != begun) return;
      disturbed = true;
    } while (!charge.compare_exchange_weak(word, MakeWord(epoch, UnitsOf(word)),
                                           std::memory_order_acq_rel, std::memory_order_acquire));
    sum += UnitsOf(word);
  }
  LedgerWord expected = begun;
  total.compare_exchange_strong(expected, MakeWord(epoch, sum < kUnitMask ? sum : kUnitMask),
                                std::memory_order_acq_rel);
  if (disturbed) NoteDisturbed(ext.devices[device]);
}

// Waits until the total is not being recounted, taking over from a recounter that has stopped.
// False: that never came.
bool AwaitTotal(api::RegionExtension& ext, int device, Patience& patience, LedgerWord* result) {
  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = total.load(std::memory_order_acquire);
  *result = seen;
  if (!IsRecounting(seen)) [[likely]] {
    return true;
  }
  uint64_t watched_epoch = EpochOf(seen);
  uint64_t deadline = os::NowNs() + kRecountPatienceNs;
  while (IsRecounting(seen)) {
    const uint64_t now = os::NowNs();
    if (patience.IsOverAt(now)) {
      NoteDisturbed(ext.devices[device]);
      return false;
    }
    if (EpochOf(seen) != watched_epoch) {
      watched_epoch = EpochOf(seen);
      deadline = now + kRecountPatienceNs;
    } else if (now > deadline) {
      BeginAndFinishRecount(ext, device, seen, patience);
    }
    os::Yield();
    seen = total.load(std::memory_order_acquire);
  }
  *result = seen;
  return true;
}

// A recount that begins now. False: it was never published.
bool RecountWithin(api::RegionExtension& ext, int device, Patience& patience, LedgerWord* seen) {
  if (!AwaitTotal(ext, device, patience, seen)) return false;
  const uint64_t before = EpochOf(*seen);
  while (EpochOf(*seen) == before) {
    if (patience.IsOverAt(os::NowNs())) {
      NoteDisturbed(ext.devices[device]);
      return false;
    }
    BeginAndFinishRecount(ext, device, *seen, patience);
    if (!AwaitTotal(ext, device, patience, seen)) return false;
  }
  return true;
}

// For somebody who changed his word in another epoch than that of the total `seen`: a recount must
// have stamped the word. If none has, one of the two is no word of ours, and all is counted again.
bool MakeBelong(api::RegionExtension& ext, int slot, int device, Patience& patience,
                LedgerWord* seen) {
  const LedgerWord own = Ref(ext.slots[slot].charge[device]).load(std::memory_order_acquire);
  if (EpochOf(own) == EpochOf(*seen)) return true;
  const LedgerWord now = Ref(ext.devices[device].total).load(std::memory_order_acquire);
  if (EpochOf(now) != EpochOf(*seen)) return true;  // the next recount has begun
  NoteDisturbed(ext.devices[device]);
  CountSlot(ext, slot);
  return RecountWithin(ext, device, patience, seen);
}

// Step 2 of giving back: skipped when a recount has stamped the slot after step 1.
void SubtractFromTotal(api::RegionExtension& ext, int slot, int device, uint64_t units,
                       uint64_t epoch, Patience& patience) {
  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = 0;
  if (!AwaitTotal(ext, device, patience, &seen)) return;
  while (EpochOf(seen) == epoch) {
    const LedgerWord next = MakeWord(epoch, Saturated(UnitsOf(seen), units));
    if (total.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      return;
    }
    if (patience.IsOver() || !AwaitTotal(ext, device, patience, &seen)) return;
  }
  MakeBelong(ext, slot, device, patience, &seen);
}

// Takes back what step 1 of taking did in `epoch`. Should a recount have stamped the slot in
// between, the total contains it.
void TakeBack(api::RegionExtension& ext, int slot, int device, uint64_t units, uint64_t epoch,
              Patience& patience) {
  const uint64_t undone_in = SubtractFromSlot(ext.slots[slot].charge[device], patience, &units);
  if (undone_in != epoch) SubtractFromTotal(ext, slot, device, units, undone_in, patience);
}

}  // namespace

void NoteDisturbed(api::DeviceExtension& device) {
  disturbances.fetch_add(1, std::memory_order_relaxed);
  std::atomic_ref(device.disturbed).fetch_add(1, std::memory_order_relaxed);
}

uint64_t DisturbancesSeen() { return disturbances.load(std::memory_order_relaxed); }

void CountSlot(api::RegionExtension& ext, int slot) {
  std::atomic_ref<uint32_t> counter(ext.slots_ever_used);
  const auto needed = static_cast<uint32_t>(slot) + 1;
  uint32_t seen = counter.load(std::memory_order_relaxed);
  // A stranger who writes smaller numbers all the time has a slot that is not counted, not us wait.
  for (int tries = 0; seen < needed && tries < kMostTries; ++tries) {
    if (counter.compare_exchange_weak(seen, needed, std::memory_order_seq_cst)) return;
  }
}

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
  Patience patience;
  uint64_t epoch;
  if (!AddToSlot(ext.slots[slot].charge[device], units, patience, &epoch)) return false;

  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = 0;
  bool settled = AwaitTotal(ext, device, patience, &seen);
  while (settled && EpochOf(seen) == epoch) {
    const uint64_t taken = UnitsOf(seen);
    if (taken > limit_units || units > limit_units - taken) {
      TakeBack(ext, slot, device, units, epoch, patience);
      return false;
    }
    if (total.compare_exchange_weak(seen, MakeWord(epoch, taken + units), std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return true;
    }
    settled = !patience.IsOver();
    if (settled && IsRecounting(seen)) settled = AwaitTotal(ext, device, patience, &seen);
  }
  if (!settled || !MakeBelong(ext, slot, device, patience, &seen)) {
    // Nobody knows what the total contains; the next recount finds our word without it.
    NoteDisturbed(ext.devices[device]);
    SubtractFromSlot(ext.slots[slot].charge[device], patience, &units);
    return false;
  }
  // A recount has counted the intent already. It does not ask for limits; we do.
  if (UnitsOf(seen) <= limit_units) return true;
  Release(ext, slot, device, units);
  return false;
}

void Force(api::RegionExtension& ext, int slot, int device, uint64_t units) {
  Patience patience;
  uint64_t epoch;
  if (!AddToSlot(ext.slots[slot].charge[device], units, patience, &epoch)) return;
  Atomic total = Ref(ext.devices[device].total);
  LedgerWord seen = 0;
  if (!AwaitTotal(ext, device, patience, &seen)) return;
  while (EpochOf(seen) == epoch) {
    const uint64_t room = kUnitMask - UnitsOf(seen);
    const LedgerWord next = MakeWord(epoch, UnitsOf(seen) + (units < room ? units : room));
    if (total.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return;
    }
    if (patience.IsOver()) return;
    if (IsRecounting(seen) && !AwaitTotal(ext, device, patience, &seen)) return;
  }
  MakeBelong(ext, slot, device, patience, &seen);
}

void Release(api::RegionExtension& ext, int slot, int device, uint64_t units) {
  Patience patience;
  const uint64_t epoch = SubtractFromSlot(ext.slots[slot].charge[device], patience, &units);
  SubtractFromTotal(ext, slot, device, units, epoch, patience);
}

bool Recount(api::RegionExtension& ext, int device) {
  Patience patience;
  LedgerWord seen = 0;
  return RecountWithin(ext, device, patience, &seen);
}

bool RecountIfUneven(api::RegionExtension& ext, int device) {
  const LedgerWord before = Ref(ext.devices[device].total).load(std::memory_order_acquire);
  if (IsRecounting(before)) return false;
  uint64_t sum = 0;
  const int count = SlotsEverUsed(ext);
  for (int slot = 0; slot < count; ++slot) sum += SlotUnits(ext, slot, device);
  const LedgerWord after = Ref(ext.devices[device].total).load(std::memory_order_acquire);
  return before == after && sum < UnitsOf(after) && Recount(ext, device);
}

bool AdoptEpochs(api::RegionExtension& ext, int slot) {
  Patience patience;
  for (int device = 0; device < api::kMaxDevices; ++device) {
    Atomic total = Ref(ext.devices[device].total);
    Atomic own = Ref(ext.slots[slot].charge[device]);
    LedgerWord seen = 0;
    do {
      if (patience.IsOver() || !AwaitTotal(ext, device, patience, &seen)) return false;
      own.store(MakeWord(EpochOf(seen), 0), std::memory_order_seq_cst);
      // A recount that has begun meanwhile may have passed this slot by.
    } while (EpochOf(total.load(std::memory_order_seq_cst)) != EpochOf(seen));
  }
  return true;
}

void ClearCharge(api::RegionExtension& ext, int slot, int device) {
  Patience patience;
  uint64_t all = kUnitMask;
  SubtractFromSlot(ext.slots[slot].charge[device], patience, &all);
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
