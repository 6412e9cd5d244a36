// SPDX-License-Identifier: Apache-2.0

#include "share/share_usage.h"

#include <algorithm>

namespace hami::share {
namespace {

const SlotView* SlotOf(const std::vector<SlotView>& slots, int pid) {
  const auto found = std::ranges::find(slots, pid, &SlotView::host_pid);
  return found == slots.end() ? nullptr : &*found;
}

// One of the processes that look unaccounted may be the owner of such a slot.
bool HasUnknownOwner(const std::vector<SlotView>& slots) {
  return std::ranges::any_of(slots,
                             [](const SlotView& slot) { return slot.alive && slot.host_pid == 0; });
}

// The processes of the share on one device, and the escape if there is one.
void MeasureDevice(const DeviceSight& device, const std::vector<SlotView>& slots,
                   const std::function<bool(int)>& is_in_tree, ShareUsage* usage) {
  Escape escape = {
      .device_index = device.index, .device_uuid = device.uuid, .limit_bytes = device.limit_bytes};
  uint64_t most_unaccounted = 0;
  for (const gpu::DeviceProcess& process : device.processes) {
    const uint64_t bytes = process.used_bytes.value_or(0);
    if (!is_in_tree(process.pid)) continue;
    if (SlotOf(slots, process.pid) == nullptr) {
      usage->outsiders.push_back(
          {.pid = process.pid, .device_index = device.index, .bytes = bytes});
    }
    if (bytes == 0) continue;
    escape.driver_bytes += bytes;
    const SlotView* slot = SlotOf(slots, process.pid);
    uint64_t charged = 0;
    if (slot != nullptr && device.granted_as >= 0) {
      charged = slot->charged_bytes[device.granted_as];
      usage->slots.push_back({slot->slot, device.granted_as, bytes});
    }
    const uint64_t unaccounted = bytes > charged ? bytes - charged : 0;
    if (unaccounted > 0 && device.granted_as >= 0) usage->hidden_bytes[process.pid] = unaccounted;
    if (escape.pid == 0 || unaccounted > most_unaccounted) {
      most_unaccounted = unaccounted;
      escape.pid = process.pid;
      escape.process_bytes = bytes;
      escape.has_slot = slot != nullptr;
    }
  }
  if (device.granted_as >= 0) usage->driver_bytes += escape.driver_bytes;
  if (escape.driver_bytes > device.limit_bytes + EscapeTolerance(device.limit_bytes)) {
    usage->escapes.push_back(std::move(escape));
  }
}

}  // namespace

std::vector<SlotView> LargerCharges(std::vector<SlotView> before,
                                    const std::vector<SlotView>& after) {
  for (SlotView& slot : before) {
    const auto later = std::ranges::find(after, slot.slot, &SlotView::slot);
    if (later == after.end() || later->host_pid != slot.host_pid) continue;
    for (int device = 0; device < api::kMaxDevices; ++device) {
      slot.charged_bytes[device] =
          std::max(slot.charged_bytes[device], later->charged_bytes[device]);
    }
  }
  return before;
}

uint64_t HiddenInBoth(const std::map<int, uint64_t>& before, const std::map<int, uint64_t>& after) {
  uint64_t bytes = 0;
  for (const auto& [pid, now] : after) {
    const auto earlier = before.find(pid);
    if (earlier != before.end()) bytes += std::min(earlier->second, now);
  }
  return bytes;
}

std::vector<Outsider> WithoutSlot(std::vector<Outsider> outsiders,
                                  const std::vector<SlotView>& before,
                                  const std::vector<SlotView>& after) {
  if (HasUnknownOwner(before) || HasUnknownOwner(after)) return {};
  std::erase_if(outsiders, [&](const Outsider& outsider) {
    return SlotOf(before, outsider.pid) != nullptr || SlotOf(after, outsider.pid) != nullptr;
  });
  return outsiders;
}

ShareUsage MeasureShare(const std::vector<DeviceSight>& devices, const std::vector<SlotView>& slots,
                        const std::function<bool(int pid)>& is_in_tree) {
  ShareUsage usage;
  for (const DeviceSight& device : devices) MeasureDevice(device, slots, is_in_tree, &usage);
  if (HasUnknownOwner(slots)) usage.hidden_bytes.clear();
  return usage;
}

}  // namespace hami::share
