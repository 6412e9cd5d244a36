// SPDX-License-Identifier: Apache-2.0

#include "region/mend.h"

#include <atomic>

#include "region/ledger.h"
#include "region/os.h"
#include "region/slots.h"

namespace hami::region {
namespace {

bool IsFree(api::SlotExtension& slot) {
  return std::atomic_ref(slot.state).load(std::memory_order_acquire) ==
         static_cast<uint32_t>(api::SlotState::kFree);
}

// What is counted for a slot that nobody living has: cleared with its lock held, so that nobody
// takes it meanwhile. A recount that waits for what stood there can end then.
void ClearIfAbandoned(api::Region& region, int fd, int slot) {
  if (os::TryLock(fd, api::kSlotLockOffset + slot) != os::LockResult::kLocked) return;
  for (int device = 0; device < api::kMaxDevices; ++device) ResetCharge(region.ext, slot, device);
  os::Unlock(fd, api::kSlotLockOffset + slot);
}

void ClampCount(api::RegionV1& v1) {
  std::atomic_ref<int32_t> count(v1.process_count);
  int32_t seen = count.load(std::memory_order_relaxed);
  if (seen < 0 || seen > api::kMaxProcesses) count.compare_exchange_strong(seen, 0);
}

}  // namespace

bool Mend(const Mapping& mapping) {
  const int fd = ReopenFile(mapping);
  if (fd < 0) return false;
  api::Region& region = *mapping.region;
  bool mended = os::Reserve(fd, 0, api::kRegionFileBytes) == 0;
  if (mended) {
    ClampCount(region.v1);
    for (int slot = 0; slot < api::kMaxProcesses; ++slot) {
      ClearIfAbandoned(region, fd, slot);
      if (IsFree(region.ext.slots[slot])) continue;
      MarkUsed(region.ext, slot);
      ShowUsed(region.v1, slot);
    }
    mended = ReapDeadSlots(region, fd) != kNeverSettles;
    for (int device = 0; mended && device < api::kMaxDevices; ++device) {
      mended = Recount(region.ext, device);
    }
  }
  os::Close(fd);
  return mended;
}

}  // namespace hami::region
