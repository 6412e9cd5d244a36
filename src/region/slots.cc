// SPDX-License-Identifier: Apache-2.0

#include "region/slots.h"

#include <atomic>
#include <cstddef>

#include "region/ledger.h"
#include "region/os.h"

namespace hami::region {
namespace {

constexpr int kMostTries = 1000;  // against somebody who writes all the time

template <typename T>
std::atomic_ref<T> Ref(T& value) {
  return std::atomic_ref<T>(value);
}

// The first slot at or after `from` that is hinted as used (or unused); kMaxProcesses if none.
int NextHinted(api::RegionExtension& ext, int from, bool used) {
  while (from < api::kMaxProcesses) {
    uint64_t word = Ref(ext.slot_used[from / 64]).load(std::memory_order_relaxed);
    if (!used) word = ~word;
    word &= ~uint64_t{0} << (from % 64);
    if (word != 0) return from / 64 * 64 + __builtin_ctzll(word);
    from = (from / 64 + 1) * 64;
  }
  return api::kMaxProcesses;
}

void Hint(api::RegionExtension& ext, int slot, bool used) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  std::atomic_ref<uint64_t> word = Ref(ext.slot_used[slot / 64]);
  if (used) {
    word.fetch_or(bit, std::memory_order_relaxed);
  } else {
    word.fetch_and(~bit, std::memory_order_relaxed);
  }
}

bool IsFree(api::SlotExtension& slot) {
  return Ref(slot.state).load(std::memory_order_acquire) ==
         static_cast<uint32_t>(api::SlotState::kFree);
}

// What HAMi's monitor sees of an empty slot: PID 0 and zeroes.
void ClearShownSlot(api::ProcessSlot& shown) {
  Ref(shown.pid).store(0, std::memory_order_release);
  __builtin_memset(reinterpret_cast<char*>(&shown) + sizeof(shown.pid), 0,
                   sizeof(shown) - sizeof(shown.pid));
}

// The caller holds the slot's byte; the owner is gone. False: the sums never settle, and the slot
// is left for the next to look.
bool ReapLocked(api::Region& region, int slot) {
  api::SlotExtension& extension = region.ext.slots[slot];
  for (int device = 0; device < api::kMaxDevices; ++device) {
    // Also where this slot's word is zero: its owner may have died between its word and the total.
    if (SlotUnits(region.ext, slot, device) != 0 || TotalUnits(region.ext, device) != 0) {
      ClearCharge(region.ext, slot, device);
      if (!Recount(region.ext, device)) return false;
    }
    Ref(extension.driver_bytes[device]).store(0, std::memory_order_relaxed);
    Ref(extension.gpu_ns[device]).store(0, std::memory_order_relaxed);
  }
  ClearShownSlot(region.v1.processes[slot]);
  Ref(extension.state)
      .store(static_cast<uint32_t>(api::SlotState::kFree), std::memory_order_release);
  Hint(region.ext, slot, false);
  return true;
}

// The caller holds the slot's byte; the slot is free. False: the sums never settle.
bool Occupy(api::Region& region, int slot, const Identity& identity) {
  api::SlotExtension& extension = region.ext.slots[slot];
  MarkUsed(region.ext, slot);
  if (!AdoptEpochs(region.ext, slot)) return false;
  Ref(extension.generation).fetch_add(1, std::memory_order_relaxed);
  Ref(extension.start_ticks).store(identity.start_ticks, std::memory_order_relaxed);
  Ref(extension.pid_namespace).store(identity.pid_namespace, std::memory_order_relaxed);
  Ref(extension.state)
      .store(static_cast<uint32_t>(api::SlotState::kActive), std::memory_order_release);
  api::ProcessSlot& shown = region.v1.processes[slot];
  ClearShownSlot(shown);
  Ref(shown.status).store(1, std::memory_order_relaxed);
  Ref(shown.pid).store(identity.pid, std::memory_order_release);
  ShowUsed(region.v1, slot);
  return true;
}

// Both of the slot's parts.
bool ReserveSlot(int fd, int slot) {
  constexpr auto kShown = static_cast<int64_t>(offsetof(api::RegionV1, processes));
  constexpr auto kExtension =
      static_cast<int64_t>(api::kExtensionOffset + offsetof(api::RegionExtension, slots));
  constexpr auto kShownBytes = static_cast<int64_t>(sizeof(api::ProcessSlot));
  constexpr auto kExtensionBytes = static_cast<int64_t>(sizeof(api::SlotExtension));
  return os::Reserve(fd, kShown + slot * kShownBytes, kShownBytes) == 0 &&
         os::Reserve(fd, kExtension + slot * kExtensionBytes, kExtensionBytes) == 0;
}

// With the slot's byte locked.
int TakeLocked(api::Region& region, int fd, int slot, const Identity& identity) {
  if (!ReserveSlot(fd, slot)) {
    os::Unlock(fd, api::kSlotLockOffset + slot);
    return kNoSpace;
  }
  if ((!IsFree(region.ext.slots[slot]) && !ReapLocked(region, slot)) ||
      !Occupy(region, slot, identity)) {
    os::Unlock(fd, api::kSlotLockOffset + slot);
    return kNeverSettles;
  }
  return slot;
}

int ClaimFirstFree(api::Region& region, int fd, const Identity& identity) {
  for (int slot = NextHinted(region.ext, 0, false); slot < api::kMaxProcesses;
       slot = NextHinted(region.ext, slot + 1, false)) {
    const os::LockResult lock = os::TryLock(fd, api::kSlotLockOffset + slot);
    if (lock == os::LockResult::kUnsupported) return -1;
    if (lock == os::LockResult::kBusy) continue;
    return TakeLocked(region, fd, slot, identity);
  }
  return -1;
}

// A decimal number at `at`; moves past it.
uint64_t TakeNumber(const char*& at, const char* end) {
  uint64_t value = 0;
  while (at < end && *at >= '0' && *at <= '9')
    value = value * 10 + static_cast<uint64_t>(*at++ - '0');
  return value;
}

uint64_t ReadStartTicks() {
  char text[1024];
  const int fd = os::Open("/proc/self/stat", os::kRead, 0);
  if (fd < 0) return 0;
  const int64_t bytes = os::Read(fd, text, sizeof(text));
  os::Close(fd);
  // "pid (comm) state ppid ...": comm may hold spaces and parentheses, so count from the last ')'.
  const char* at = text;
  const char* end = text + (bytes > 0 ? bytes : 0);
  for (const char* c = text; c < end; ++c) {
    if (*c == ')') at = c + 1;
  }
  constexpr int kFieldsAfterName = 20;  // start time is field 22, the state (field 3) comes first
  for (int field = 0; field < kFieldsAfterName && at < end; ++at) {
    if (*at == ' ') ++field;
  }
  return TakeNumber(at, end);
}

}  // namespace

void MarkUsed(api::RegionExtension& ext, int slot) {
  Hint(ext, slot, true);
  CountSlot(ext, slot);
}

void ShowUsed(api::RegionV1& v1, int slot) {
  std::atomic_ref<int32_t> count(v1.process_count);
  int32_t seen = count.load(std::memory_order_relaxed);
  for (int tries = 0; seen <= slot && tries < kMostTries; ++tries) {
    if (count.compare_exchange_weak(seen, slot + 1, std::memory_order_seq_cst)) return;
  }
}

Identity ReadIdentity() {
  Identity identity = {};
  identity.pid = os::ProcessId();
  identity.start_ticks = ReadStartTicks();
  os::FileInfo info;
  if (os::StatPath("/proc/self/ns/pid", &info) == 0) identity.pid_namespace = info.inode;
  return identity;
}

int ClaimSlot(api::Region& region, int fd, const Identity& identity) {
  const int slot = ClaimFirstFree(region, fd, identity);
  if (slot != -1) return slot;
  // Every slot is hinted as used: look for dead owners, through a description of our own being
  // impossible here, by trying each byte; a live owner's byte does not yield.
  for (int i = 0; i < api::kMaxProcesses; ++i) {
    if (os::TryLock(fd, api::kSlotLockOffset + i) != os::LockResult::kLocked) continue;
    return TakeLocked(region, fd, i, identity);
  }
  return -1;
}

bool HasOtherSlots(const api::Region& region, int slot) {
  for (int i = 0; i < api::kMaxProcesses / 64; ++i) {
    auto& word = const_cast<uint64_t&>(region.ext.slot_used[i]);
    uint64_t used = Ref(word).load(std::memory_order_relaxed);
    if (slot >= 0 && slot / 64 == i) used &= ~(uint64_t{1} << (slot % 64));
    if (used != 0) return true;
  }
  return false;
}

int ReapDeadSlots(api::Region& region, int fd) {
  int reaped = 0;
  for (int slot = NextHinted(region.ext, 0, true); slot < api::kMaxProcesses;
       slot = NextHinted(region.ext, slot + 1, true)) {
    if (os::TryLock(fd, api::kSlotLockOffset + slot) != os::LockResult::kLocked) continue;
    bool settled = true;
    if (IsFree(region.ext.slots[slot])) {
      Hint(region.ext, slot, false);
    } else {
      settled = ReapLocked(region, slot);
      ++reaped;
    }
    os::Unlock(fd, api::kSlotLockOffset + slot);
    if (!settled) return kNeverSettles;
  }
  return reaped;
}

void ShowCharge(api::Region& region, int slot, int device, ChargeKind kind, int64_t bytes) {
  api::DeviceMemoryUsage& used = region.v1.processes[slot].used[device];
  uint64_t& part = kind == ChargeKind::kContext  ? used.context_bytes
                   : kind == ChargeKind::kModule ? used.module_bytes
                                                 : used.data_bytes;
  Ref(part).fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  Ref(used.total_bytes).fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
}

}  // namespace hami::region
