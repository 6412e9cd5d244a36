// SPDX-License-Identifier: Apache-2.0

#include "share/region_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>

#include "base/file.h"
#include "region/ledger.h"
#include "region/mapping.h"
#include "region/mend.h"
#include "region/os.h"
#include "share/bounded_child.h"

namespace hami::share {
namespace {

using api::Region;

constexpr size_t kSlotsOffset = offsetof(Region, ext) + offsetof(api::RegionExtension, slots);
constexpr size_t kDevicesOffset = offsetof(Region, ext) + offsetof(api::RegionExtension, devices);
constexpr size_t kHintOffset = offsetof(Region, ext) + offsetof(api::RegionExtension, slot_used);
constexpr size_t kProcessesOffset = offsetof(Region, v1) + offsetof(api::RegionV1, processes);

uint64_t BytesOf(api::LedgerWord word) { return region::UnitsOf(word) * api::kChargeUnitBytes; }

// One structure out of the file; kDataLoss if the file has become too short for it.
template <typename T>
Status ReadAt(int fd, size_t offset, T* value) {
  ssize_t got = 0;
  do {
    got = pread(fd, value, sizeof(T), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return FailErrno("read region");
  if (got != sizeof(T)) return Fail(Code::kDataLoss, "the region was cut short by its tenant");
  return {};
}

template <typename T>
Status WriteAt(int fd, size_t offset, T value) {
  ssize_t put = 0;
  do {
    put = pwrite(fd, &value, sizeof(T), static_cast<off_t>(offset));
  } while (put < 0 && errno == EINTR);
  if (put != sizeof(T)) return FailErrno("write region");
  return {};
}

size_t SlotOffset(int slot) {
  return kSlotsOffset + static_cast<size_t>(slot) * sizeof(api::SlotExtension);
}

size_t DeviceOffset(int device) {
  return kDevicesOffset + static_cast<size_t>(device) * sizeof(api::DeviceExtension);
}

bool IsByteLocked(int fd, int64_t offset) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// What a tenant has written can keep the region library busy.
constexpr std::chrono::seconds kPatience{2};

struct PidPair {
  int32_t pid;
  int32_t host_pid;
};
static_assert(offsetof(api::ProcessSlot, pid) == offsetof(PidPair, pid));
static_assert(offsetof(api::ProcessSlot, host_pid) == offsetof(PidPair, host_pid));

}  // namespace

Status RegionFile::Create(const std::string& path) {
  region::Mapping mapping;
  const region::AttachError error = region::Attach(path.c_str(), true, nullptr, &mapping);
  if (error != region::AttachError::kNone) {
    return Fail(Code::kInternal, fmt::format("make {}: {}", path, region::Describe(error)));
  }
  // The tenant has not begun, so this mapping was safe; it is not kept.
  os::Unmap(mapping.region, api::kRegionFileBytes);
  return {};
}

Result<RegionFile> RegionFile::Open(const std::string& path) {
  ASSIGN_OR_RETURN(base::Fd file, base::OpenFile(path, O_RDWR));
  return RegionFile(path, std::move(file));
}

Result<RegionFile> RegionFile::OpenToRead(const std::string& path) {
  // Asking for a lock's owner needs no right to take it (fcntl(2), F_OFD_GETLK).
  ASSIGN_OR_RETURN(base::Fd file, base::OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  return RegionFile(path, std::move(file));
}

Result<std::vector<SlotView>> RegionFile::ReadSlots() const {
  uint64_t hints[api::kMaxProcesses / 64] = {};
  RETURN_IF_ERROR(ReadAt(file_.get(), kHintOffset, &hints));
  std::vector<SlotView> views;
  for (int slot = 0; slot < api::kMaxProcesses; ++slot) {
    if ((hints[slot / 64] >> (slot % 64) & 1U) == 0) continue;
    api::SlotExtension extension = {};
    PidPair pids = {};
    RETURN_IF_ERROR(ReadAt(file_.get(), SlotOffset(slot), &extension));
    RETURN_IF_ERROR(ReadAt(file_.get(),
                           kProcessesOffset + static_cast<size_t>(slot) * sizeof(api::ProcessSlot),
                           &pids));
    if (extension.state == static_cast<uint32_t>(api::SlotState::kFree)) continue;
    SlotView view = {.slot = slot, .pid = pids.pid, .host_pid = pids.host_pid};
    view.alive = IsSlotAlive(slot);
    for (int device = 0; device < api::kMaxDevices; ++device) {
      view.charged_bytes[device] = BytesOf(extension.charge[device]);
      view.charged_gpu_ns[device] = extension.gpu_ns[device];
    }
    views.push_back(view);
  }
  return views;
}

Result<DeviceView> RegionFile::ReadDevice(int device) const {
  api::DeviceExtension extension = {};
  RETURN_IF_ERROR(ReadAt(file_.get(), DeviceOffset(device), &extension));
  return DeviceView{.charged_bytes = BytesOf(extension.total),
                    .charged_gpu_ns = extension.charged_gpu_ns,
                    .throttled_ns = extension.throttled_ns,
                    .refused = extension.refused};
}

Status RegionFile::WriteDriverBytes(int slot, int device, uint64_t bytes) const {
  return WriteAt(file_.get(),
                 SlotOffset(slot) + offsetof(api::SlotExtension, driver_bytes) +
                     static_cast<size_t>(device) * sizeof(uint64_t),
                 bytes);
}

Status RegionFile::WriteHidden(int device, uint64_t bytes) const {
  return WriteAt(file_.get(), DeviceOffset(device) + offsetof(api::DeviceExtension, hidden_bytes),
                 bytes);
}

Status RegionFile::WriteCostScale(int device, uint32_t scale_q16) const {
  return WriteAt(file_.get(), DeviceOffset(device) + offsetof(api::DeviceExtension, cost_scale_q16),
                 scale_q16);
}

Status RegionFile::WriteNeighbourBusy(int device, std::optional<uint32_t> busy_pct) const {
  return WriteAt(file_.get(),
                 DeviceOffset(device) + offsetof(api::DeviceExtension, neighbour_busy_pct),
                 busy_pct ? *busy_pct + 1 : uint32_t{0});
}

Status RegionFile::RestoreLength() const {
  struct stat info = {};
  if (fstat(file_.get(), &info) != 0) return FailErrno("look at region");
  if (info.st_size >= static_cast<off_t>(api::kRegionFileBytes)) return {};
  if (ftruncate(file_.get(), api::kRegionFileBytes) != 0) return FailErrno("grow region");
  if (os::Reserve(file_.get(), 0, api::kRegionFileBytes) != 0) {
    return Fail(Code::kInternal, "grow region: the file system is full");
  }
  return {};
}

bool RegionFile::IsSlotAlive(int slot) const {
  return IsByteLocked(file_.get(), api::kSlotLockOffset + slot);
}

Status RegionFile::WriteHold(bool hold) const {
  constexpr int32_t kHeld = -1;
  constexpr int32_t kLetGo = 2;
  return WriteAt(file_.get(), offsetof(Region, v1) + offsetof(api::RegionV1, recent_kernel),
                 hold ? kHeld : kLetGo);
}

Status RegionFile::Repair() const { return InChild(region::Mend); }

Status RegionFile::ReapDeadSlots() const {
  return InChild([](const region::Mapping& mapping) {
    return region::ReapDead(mapping) != region::kNeverSettles;
  });
}

Status RegionFile::InChild(bool (*work)(const region::Mapping&)) const {
  const Result<int> code = ChildRunner().Run(
      [&] {
        region::Mapping mapping;
        if (region::Attach(path_.c_str(), false, nullptr, &mapping) != region::AttachError::kNone) {
          return 1;
        }
        return work(mapping) ? 0 : 1;
      },
      kPatience);
  if (!code && code.error().code == Code::kDeadlineExceeded) {
    return Fail(Code::kDataLoss, "the region cannot be put right: its counts never settle");
  }
  if (!code && code.error().code != Code::kDataLoss) return Fail(code.error());  // no child
  if (!code || *code != 0) return Fail(Code::kDataLoss, "the region cannot be put right");
  return {};
}

}  // namespace hami::share
