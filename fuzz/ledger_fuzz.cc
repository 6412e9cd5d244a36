// SPDX-License-Identifier: Apache-2.0
//
// Any words in a region that a process of ours has a slot in. The input is hostile_region.h's. What
// must hold: no operation hangs; once nobody writes any more a repair leaves the slots of the
// living alone, with sums that are right, and the next reservation is exact.

#include <stdint.h>

#include <cstddef>

#include "fuzz/hostile_region.h"
#include "region/ledger.h"
#include "region/mapping.h"
#include "region/mend.h"
#include "region/os.h"

namespace {

using hami::fuzz::Require;
namespace region = hami::region;

constexpr uint64_t kHeld = 1000;

// What a program of the tenant does with it; whatever comes of it.
void UseIt(const region::Mapping& mine) {
  hami::api::RegionExtension& ext = mine.region->ext;
  if (region::Reserve(ext, mine.slot, 0, 5, kHeld + 100)) region::Release(ext, mine.slot, 0, 5);
  region::Force(ext, mine.slot, 1, 7);
  region::Release(ext, mine.slot, 1, 7);
  (void)region::HasRoom(ext, 0, 1, kHeld);
  (void)region::RecountIfUneven(ext, 0);
  (void)region::ReapDead(mine);
}

void RequireSound(const region::Mapping& mine) {
  hami::api::RegionExtension& ext = mine.region->ext;
  for (int device = 0; device < hami::api::kMaxDevices; ++device) {
    uint64_t sum = 0;
    for (int slot = 0; slot < hami::api::kMaxProcesses; ++slot) {
      const uint64_t units = region::SlotUnits(ext, slot, device);
      Require(slot == mine.slot || units == 0);
      sum += units;
    }
    Require(region::TotalUnits(ext, device) == sum);
    if (sum > region::kUnitMask - 200) continue;  // the words cannot hold more
    Require(region::Reserve(ext, mine.slot, device, 100, sum + 100));
    Require(!region::Reserve(ext, mine.slot, device, 1, sum + 100));
    region::Release(ext, mine.slot, device, 100);
    Require(region::TotalUnits(ext, device) == sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  static const hami::fuzz::HostileRegion file;
  file.MakeAnew();
  region::Mapping mine;
  const region::Identity identity = {.pid = 1, .start_ticks = 1, .pid_namespace = 1};
  Require(region::Attach(file.path().c_str(), false, &identity, &mine) ==
          region::AttachError::kNone);
  Require(region::Reserve(mine.region->ext, mine.slot, 0, kHeld, kHeld));
  file.Scribble(data, bytes, false);
  UseIt(mine);
  Require(region::Mend(mine));
  // Its own state the owner does not look at; what is not taken is not repaired.
  RequireSound(mine);
  hami::os::Unmap(mine.region, hami::api::kRegionFileBytes);
  return 0;
}
