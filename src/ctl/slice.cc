// SPDX-License-Identifier: Apache-2.0

#include "ctl/slice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>

#include "ctl/limits_text.h"
#include "ctl/notice.h"
#include "ctl/region_file.h"
#include "gpu/context_cost.h"

namespace hami::ctl {
namespace {

constexpr int kLockTimeoutMs = 60'000;

// Live bookings with the processes that they were seen with: what the driver counts for them is in
// the booking already.
Result<std::vector<Holder>> ListHolders(const StateFolder& state, const base::Fd& lock) {
  ASSIGN_OR_RETURN(std::vector<LiveShare> shares, SweepAndList(state, lock));
  std::vector<Holder> holders;
  for (LiveShare& share : shares) {
    Holder holder;
    holder.booking = std::move(share.booking);
    const Result<RegionFile> region = RegionFile::Open(share.folder + "/region");
    if (region) {
      if (const Result<std::vector<SlotView>> slots = region->ReadSlots()) {
        for (const SlotView& slot : *slots) holder.host_pids.push_back(slot.host_pid);
      }
    }
    holders.push_back(std::move(holder));
  }
  return holders;
}

std::string NameFor(const RunOptions& options) {
  if (!options.name.empty()) return options.name;
  const std::string& program = options.command[0];
  std::string name;
  for (const char c : program.substr(program.rfind('/') + 1)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || (c == '-' && !name.empty())) name += c;
    if (name.size() == 32) break;
  }
  return fmt::format("{}-{}", name.empty() ? "run" : name, getpid());
}

// 0 where it cannot be measured: contexts are then charged at what the library assumes.
uint64_t MeasureContext(const StateFolder& state, const DriverChoice& driver,
                        const gpu::Device& device) {
  gpu::ContextCostRequest request;
  request.location = driver.location;
  request.cache_folder = state.context_cost();
  const Result<uint64_t> cost =
      gpu::ContextCost(*driver.nvml, driver.inventory, device, request);
  if (cost) return *cost;
  Notice("what a CUDA context costs cannot be measured (" + cost.error().message +
         "); contexts are not charged before the driver shows them");
  return 0;
}

}  // namespace

Result<Slice> TakeSlice(const StateFolder& state, const DriverChoice& driver,
                        const RunOptions& options) {
  ASSIGN_OR_RETURN(const base::Fd lock, state.Lock(kLockTimeoutMs));
  ASSIGN_OR_RETURN(const std::vector<Holder> holders, ListHolders(state, lock));
  const std::vector<Room> rooms = MeasureRoom(driver.inventory, driver.simulation, holders);
  ASSIGN_OR_RETURN(const Placement placement, Place(options.wish, driver.inventory, rooms));

  Slice slice;
  Booking& booking = slice.booking;
  booking.name = NameFor(options);
  booking.pid = getpid();
  booking.uid = getuid();
  booking.created_unix_s = time(nullptr);
  booking.device_uuid = placement.device->uuid;
  booking.device_index = placement.device->index;
  booking.device_name = placement.device->name;
  booking.simulation = driver.simulation;
  booking.memory_bytes = placement.memory_bytes;
  booking.cores_pct = options.wish.cores_pct;
  booking.policy = options.policy;
  booking.command = options.command;

  SliceLimits limits;
  limits.device_uuid = booking.device_uuid;
  limits.memory_bytes = booking.memory_bytes;
  limits.cores_pct = booking.cores_pct;
  limits.policy = booking.policy;
  limits.context_bytes = MeasureContext(state, driver, *placement.device);
  ASSIGN_OR_RETURN(NewShare share, AddShare(state, lock, booking, WriteLimits(limits)));
  slice.folder = std::move(share.folder);
  slice.hold = std::move(share.hold);
  return slice;
}

Status MarkDegraded(Slice* slice) {
  slice->booking.degraded = true;
  // The new file is locked before it has its name, so the booking is held all the time.
  ASSIGN_OR_RETURN(slice->hold, WriteAndHoldBooking(slice->folder, slice->booking));
  return {};
}

Status ReturnSlice(const StateFolder& state, Slice* slice) {
  ASSIGN_OR_RETURN(const base::Fd lock, state.Lock(kLockTimeoutMs));
  slice->hold.Reset();
  return RemoveShare(state, lock, slice->folder);
}

}  // namespace hami::ctl
