// SPDX-License-Identifier: Apache-2.0

#include "ctl/room.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

namespace hami::ctl {
namespace {

constexpr size_t kShownCommandLength = 60;

std::string ShowCommand(const Booking& booking) {
  std::string text = fmt::format("{}", fmt::join(booking.command, " "));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() > kShownCommandLength) text = text.substr(0, kShownCommandLength - 3) + "...";
  return text;
}

bool IsCovered(const std::vector<const Holder*>& holders, int pid) {
  return std::ranges::any_of(holders, [pid](const Holder* holder) {
    return std::ranges::find(holder->host_pids, pid) != holder->host_pids.end();
  });
}

// Memory that no booking covers. Where the driver does not tell a process's memory, what is in use
// beyond the bookings is the best figure there is.
uint64_t OutsideBytes(const gpu::Device& device, const Room& room) {
  uint64_t outside_bytes = 0;
  bool all_known = device.processes_known;
  for (const gpu::DeviceProcess& process : device.processes) {
    if (IsCovered(room.holders, process.pid)) continue;
    all_known = all_known && process.used_bytes.has_value();
    outside_bytes += process.used_bytes.value_or(0);
  }
  if (all_known) return outside_bytes;
  const uint64_t used = device.memory_used_bytes;
  return std::max(outside_bytes, used > room.booked_bytes ? used - room.booked_bytes : 0);
}

Status CheckPossible(const Wish& wish, const std::vector<Room>& rooms) {
  uint64_t largest = 0;
  for (const Room& room : rooms) largest = std::max(largest, room.device->memory_bytes);
  const uint64_t asked = wish.memory.Of(largest);
  if (asked == 0) {
    return Fail(Code::kInvalidArgument, "a slice needs memory: --gpumem is 0");
  }
  if (asked > largest) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("--gpumem {} is more than {} has: {}", base::FormatBytes(asked),
                    rooms.size() == 1 ? "the GPU" : "any GPU here", base::FormatBytes(largest)));
  }
  return {};
}

}  // namespace

std::vector<Room> MeasureRoom(const gpu::Inventory& inventory, const std::string& simulation,
                              const std::vector<Holder>& holders) {
  std::vector<Room> rooms;
  for (const gpu::Device& device : inventory.devices) {
    Room room;
    room.device = &device;
    int booked_cores_pct = 0;
    for (const Holder& holder : holders) {
      const Booking& booking = holder.booking;
      if (booking.device_uuid != device.uuid || booking.simulation != simulation) continue;
      room.holders.push_back(&holder);
      room.booked_bytes += booking.memory_bytes;
      booked_cores_pct += booking.cores_pct;
    }
    room.outside_bytes = OutsideBytes(device, room);
    const uint64_t taken = room.booked_bytes + room.outside_bytes;
    room.free_bytes = device.memory_bytes > taken ? device.memory_bytes - taken : 0;
    room.free_cores_pct = std::max(0, 100 - booked_cores_pct);
    rooms.push_back(std::move(room));
  }
  return rooms;
}

Result<Placement> Place(const Wish& wish, const gpu::Inventory& inventory,
                        const std::vector<Room>& rooms) {
  std::vector<Room> eligible = rooms;
  if (!wish.gpu.empty()) {
    ASSIGN_OR_RETURN(const gpu::Device* chosen, gpu::FindDevice(inventory, wish.gpu));
    std::erase_if(eligible, [&](const Room& room) { return room.device != chosen; });
  }
  RETURN_IF_ERROR(CheckPossible(wish, eligible));
  const Room* best = nullptr;
  const auto rank = [](const Room& room) {
    return std::tuple(room.free_cores_pct, room.free_bytes, -room.device->index);
  };
  for (const Room& room : eligible) {
    const uint64_t asked = wish.memory.Of(room.device->memory_bytes);
    if (asked == 0 || asked > room.free_bytes || wish.cores_pct > room.free_cores_pct) continue;
    if (best == nullptr || rank(room) > rank(*best)) best = &room;
  }
  if (best != nullptr) return Placement{best->device, wish.memory.Of(best->device->memory_bytes)};
  const uint64_t asked = wish.memory.Of(eligible.front().device->memory_bytes);
  return Fail(
      Code::kResourceExhausted,
      fmt::format("no room for {} of memory{} {}\n{}", base::FormatBytes(asked),
                  wish.cores_pct > 0 ? fmt::format(" and {} % of compute", wish.cores_pct) : "",
                  wish.gpu.empty() ? "on any GPU" : "on this GPU", DescribeRoom(eligible)));
}

std::string DescribeRoom(const std::vector<Room>& rooms) {
  std::string text;
  for (const Room& room : rooms) {
    text +=
        fmt::format("GPU {}  {}  {}: {} of {} and {} % of compute free\n", room.device->index,
                    room.device->name, room.device->uuid, base::FormatBytesRounded(room.free_bytes),
                    base::FormatBytesRounded(room.device->memory_bytes), room.free_cores_pct);
    for (const Holder* holder : room.holders) {
      const Booking& booking = holder->booking;
      text += fmt::format(
          "  {}  pid {}  {}  {}  {}\n", booking.name, booking.pid,
          base::FormatBytes(booking.memory_bytes),
          booking.cores_pct > 0 ? fmt::format("{} %", booking.cores_pct) : "no compute limit",
          ShowCommand(booking));
    }
    if (room.outside_bytes > 0) {
      text += fmt::format("  processes outside hami  {}\n",
                          base::FormatBytesRounded(room.outside_bytes));
    }
  }
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace hami::ctl
