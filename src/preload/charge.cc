// SPDX-License-Identifier: Apache-2.0
//
// Charging over the parts of a device. With one share directory, the usual case, this is one
// Reserve; with several a charge may be spread over them. Nothing remembers how it was spread: a
// refund takes from whatever this process holds, and the sums are right.

#include "preload/devices.h"
#include "preload/log.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

// How often the room of one of several parts is looked at: others take it meanwhile, and a region
// that was written over may show room that is not to be had.
constexpr int kMostLooks = 64;

api::RegionExtension& ExtensionOf(const DevicePart& part) {
  return part.share->mapping.region->ext;
}

void Show(const DevicePart& part, uint64_t units, bool taken, region::ChargeKind kind) {
  const auto bytes = static_cast<int64_t>(units * api::kChargeUnitBytes);
  region::ShowCharge(*part.share->mapping.region, part.share->mapping.slot, part.index, kind,
                     taken ? bytes : -bytes);
}

// The agent's figure of what is held and charged nowhere.
uint64_t HiddenUnits(const DevicePart& part) {
  const api::DeviceExtension& device = ExtensionOf(part).devices[part.index];
  return region::ChargeUnits(
      std::atomic_ref(const_cast<uint64_t&>(device.hidden_bytes)).load(std::memory_order_relaxed));
}

// What is asked for: the memory may be among what is hidden, as far as `found_units`.
struct Wish {
  region::ChargeKind kind;
  uint64_t found_units;
};

// What the charges of all slots together may reach.
uint64_t LimitUnits(const DevicePart& part, const Wish& wish) {
  const uint64_t limit = part.limit_units.load(std::memory_order_relaxed);
  if (limit == region::kUnlimitedUnits) return limit;
  uint64_t hidden = HiddenUnits(part);
  hidden = hidden > wish.found_units ? hidden - wish.found_units : 0;
  return hidden < limit ? limit - hidden : 0;
}

bool ChargePart(DevicePart& part, uint64_t units, const Wish& wish) {
  const uint64_t limit = LimitUnits(part, wish);
  if (!region::HasRoom(ExtensionOf(part), part.index, units, limit)) return false;
  if (!region::Reserve(ExtensionOf(part), part.share->mapping.slot, part.index, units, limit)) {
    return false;
  }
  Show(part, units, true, wish.kind);
  return true;
}

uint64_t RoomOf(const DevicePart& part, const Wish& wish) {
  const uint64_t limit = LimitUnits(part, wish);
  const uint64_t used = region::TotalUnits(ExtensionOf(part), part.index);
  return used < limit ? limit - used : 0;
}

void RefundUnits(Device& device, uint64_t units, region::ChargeKind kind) {
  for (int i = device.part_count - 1; i >= 0 && units > 0; --i) {
    DevicePart& part = device.parts[i];
    const int slot = part.share->mapping.slot;
    const uint64_t held = region::SlotUnits(ExtensionOf(part), slot, part.index);
    const uint64_t give = i == 0 || held > units ? units : held;
    if (give == 0) continue;
    region::Release(ExtensionOf(part), slot, part.index, give);
    Show(part, give, false, kind);
    units -= give;
  }
}

bool ChargeUnitsOnce(Device& device, uint64_t units, const Wish& wish) {
  if (device.part_count == 1) [[likely]] {
    return ChargePart(device.parts[0], units, wish);
  }
  uint64_t rest = units;
  for (int i = 0; i < device.part_count && rest > 0; ++i) {
    DevicePart& part = device.parts[i];
    // Another process may take the room between the look and the claim; then look again.
    uint64_t room = RoomOf(part, wish);
    for (int looks = 0; room > 0 && looks < kMostLooks; ++looks, room = RoomOf(part, wish)) {
      const uint64_t take = room < rest ? room : rest;
      if (!ChargePart(part, take, wish)) continue;
      rest -= take;
      break;
    }
  }
  if (rest == 0) return true;
  RefundUnits(device, units - rest, wish.kind);
  return false;
}

// The total may say more than there is.
bool CountAgain(const Device& device) {
  bool counted = false;
  for (int i = 0; i < device.part_count; ++i) {
    const DevicePart& part = device.parts[i];
    counted = region::RecountIfUneven(ExtensionOf(part), part.index) || counted;
  }
  return counted;
}

bool ChargeWish(Device& device, uint64_t bytes, const Wish& wish) {
  const uint64_t units = region::ChargeUnits(bytes);
  if (ChargeUnitsOnce(device, units, wish)) [[likely]] {
    return true;
  }
  // Before refusing: room that nobody uses any more. Reclaim() frees dead processes' slots and asks
  // the driver what its pools still hold.
  if (device.part_count > 0) {
    const bool counted = CountAgain(device);
    if ((Reclaim(device) || counted) && ChargeUnitsOnce(device, units, wish)) return true;
  }
  SayDisturbances();
  for (int i = 0; i < device.part_count; ++i) {
    const DevicePart& part = device.parts[i];
    std::atomic_ref(ExtensionOf(part).devices[part.index].refused)
        .fetch_add(1, std::memory_order_relaxed);
  }
  const MemoryView view = ViewMemory(device);
  Log(LogLevel::kWarning, "refused %u bytes on %s: %u of %u bytes are in use", bytes, device.uuid,
      view.used_bytes, view.limit_bytes);
  return false;
}

}  // namespace

bool Charge(Device& device, uint64_t bytes, region::ChargeKind kind) {
  return ChargeWish(device, bytes, {kind, 0});
}

bool ChargeExisting(Device& device, uint64_t bytes, region::ChargeKind kind) {
  return ChargeWish(device, bytes, {kind, region::ChargeUnits(bytes)});
}

void ChargeAnyway(Device& device, uint64_t bytes, region::ChargeKind kind) {
  if (device.part_count == 0) return;
  const DevicePart& part = device.parts[0];
  const uint64_t units = region::ChargeUnits(bytes);
  region::Force(ExtensionOf(part), part.share->mapping.slot, part.index, units);
  Show(part, units, true, kind);
}

void SayDisturbances() {
  static bool said = false;
  const uint64_t seen = region::DisturbancesSeen();
  if (seen == 0) return;
  LogAlways(&said,
            "a process of this container writes over the region (%u words that no library writes); "
            "they are put right, and what cannot be counted is refused",
            seen);
}

void Refund(Device& device, uint64_t bytes, region::ChargeKind kind) {
  RefundUnits(device, region::ChargeUnits(bytes), kind);
}

MemoryView ViewMemory(const Device& device) {
  MemoryView view = {true, 0, 0};
  for (int i = 0; i < device.part_count; ++i) {
    const DevicePart& part = device.parts[i];
    const uint64_t limit = part.limit_units.load(std::memory_order_relaxed);
    if (limit == region::kUnlimitedUnits) view.limited = false;
    view.limit_bytes += limit * api::kChargeUnitBytes;
    view.used_bytes += (region::TotalUnits(ExtensionOf(part), part.index) + HiddenUnits(part)) *
                       api::kChargeUnitBytes;
  }
  return view;
}

}  // namespace hami::preload
