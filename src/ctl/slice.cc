// SPDX-License-Identifier: Apache-2.0

#include "ctl/slice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <map>

#include "api/share/agent.h"
#include "base/clock.h"
#include "base/file.h"
#include "ctl/notice.h"
#include "ctl/process_tree.h"
#include "gpu/context_cost.h"
#include "share/limits_text.h"
#include "share/region_file.h"

namespace hami::ctl {
namespace {

constexpr int kLockTimeoutMs = 60'000;
constexpr size_t kMaxNamePrefix = 40;

// While hami lives the tree says which processes are the share's. Without it there is only what
// their slots claim.
std::vector<int> HostPidsOf(const LiveShare& share, const std::vector<ProcessLink>& links) {
  if (share.liveness == Liveness::kHeldByHami) return Below(share.booking.pid, links);
  std::vector<int> pids;
  const Result<share::RegionFile> region =
      share::RegionFile::Open(base::JoinPath(share.folder, api::kRegionFile));
  if (!region) return pids;
  const Result<std::vector<share::SlotView>> slots = region->ReadSlots();
  if (!slots) return pids;
  for (const share::SlotView& slot : *slots) {
    if (slot.host_pid > 0) pids.push_back(slot.host_pid);
  }
  return pids;
}

// 0 where it cannot be measured.
uint64_t MeasureContext(const StateFolder& state, const DriverChoice& driver,
                        const gpu::Device& device) {
  const Result<uint64_t> cost =
      gpu::ContextCost(*driver.nvml, driver.inventory, device,
                       {.location = driver.location, .cache_folder = state.context_cost()});
  if (cost) return *cost;
  Notice("what a CUDA context costs cannot be measured (" + cost.error().message +
         "); contexts are not charged before the driver shows them");
  return 0;
}

class Booker {
 public:
  Booker(const StateFolder& state, const DriverChoice& driver, const RunOptions& options)
      : state_(state), driver_(driver), options_(options) {}

  // Measuring takes seconds on a big machine, so it is done without the lock, for the device that
  // was found; then the search is made again.
  Result<Slice> Book() {
    for (;;) {
      gpu::Device unmeasured;
      {
        ASSIGN_OR_RETURN(const base::Fd lock, state_.Lock(kLockTimeoutMs));
        ASSIGN_OR_RETURN(const Placement placement, Search(lock));
        const auto cost = context_bytes_.find(placement.device->uuid);
        if (cost != context_bytes_.end()) return Add(lock, placement, cost->second);
        unmeasured = *placement.device;
      }
      context_bytes_[unmeasured.uuid] = MeasureContext(state_, driver_, unmeasured);
    }
  }

 private:
  Result<Placement> Search(const base::Fd& lock) {
    ASSIGN_OR_RETURN(const std::vector<LiveShare> shares, SweepAndList(state_, lock));
    // Read under the lock: a run that ended since would otherwise still seem to hold its memory.
    ASSIGN_OR_RETURN(inventory_, gpu::ReadInventory(*driver_.nvml));
    const std::vector<ProcessLink> links = ListProcessLinks();
    std::vector<Holder> holders;
    holders.reserve(shares.size());
    for (const LiveShare& share : shares) {
      holders.push_back({share.booking, HostPidsOf(share, links)});
    }
    const std::vector<Room> rooms = MeasureRoom(inventory_, driver_.simulation, holders);
    return Place(options_.wish, inventory_, rooms);
  }

  Result<Slice> Add(const base::Fd& lock, const Placement& placement, uint64_t context_bytes) {
    const gpu::Device& device = *placement.device;
    Slice slice;
    Booking& booking = slice.booking;
    booking.name =
        options_.name.empty() ? NameSlice(options_.command.front(), getpid()) : options_.name;
    booking.pid = getpid();
    booking.uid = geteuid();
    booking.created_unix_s = base::SystemClock().WallNs() / 1'000'000'000;
    booking.device_uuid = device.uuid;
    booking.device_index = device.index;
    booking.device_name = device.name;
    booking.simulation = driver_.simulation;
    booking.memory_bytes = placement.memory_bytes;
    booking.cores_pct = options_.wish.cores_pct;
    booking.policy = options_.policy;
    booking.command = options_.command;
    const std::string limits = share::WriteLimits({.device_uuid = device.uuid,
                                                   .memory_bytes = placement.memory_bytes,
                                                   .cores_pct = booking.cores_pct,
                                                   .policy = booking.policy,
                                                   .context_bytes = context_bytes});
    ASSIGN_OR_RETURN(NewShare share, AddShare(state_, lock, booking, limits));
    slice.folder = std::move(share.folder);
    slice.hold = std::move(share.hold);
    return slice;
  }

  const StateFolder& state_;
  const DriverChoice& driver_;
  const RunOptions& options_;
  gpu::Inventory inventory_;                       // of the last search
  std::map<std::string, uint64_t> context_bytes_;  // by UUID, of devices measured in this run
};

}  // namespace

std::string NameSlice(const std::string& program, int pid) {
  std::string name;
  for (const char c : program.substr(program.rfind('/') + 1)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool inner = (c == '.' || c == '_' || c == '-') && !name.empty();
    if ((letter || inner) && name.size() < kMaxNamePrefix) name += c;
  }
  return fmt::format("{}-{}", name.empty() ? "run" : name, pid);
}

Result<Slice> TakeSlice(const StateFolder& state, const DriverChoice& driver,
                        const RunOptions& options) {
  return Booker(state, driver, options).Book();
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
