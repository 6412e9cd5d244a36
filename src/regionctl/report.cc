// SPDX-License-Identifier: Apache-2.0

#include "regionctl/report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "api/region/region.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/file.h"
#include "region/ledger.h"
#include "share/region_file.h"

namespace hami::regionctl {
namespace {

using api::kMaxDevices;
using api::kMaxProcesses;
using base::FormatBytesRounded;

constexpr std::chrono::milliseconds kSecondLook{100};

struct Copy {
  std::unique_ptr<api::Region> region;  // zeros where the file ends
  size_t bytes = 0;                     // of the file
};

Result<Copy> Load(const std::string& path) {
  ASSIGN_OR_RETURN(const base::Fd file, base::OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat info = {};
  if (fstat(file.get(), &info) != 0) return FailErrno("look at " + path);
  if (!S_ISREG(info.st_mode)) return Fail(Code::kDataLoss, path + " is not a file");
  Copy copy = {.region = std::make_unique<api::Region>(),
               .bytes = static_cast<size_t>(info.st_size)};
  size_t have = 0;
  while (have < sizeof(api::Region)) {
    const ssize_t got = pread(file.get(), reinterpret_cast<char*>(copy.region.get()) + have,
                              sizeof(api::Region) - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read " + path);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return copy;
}

Status CheckVersion(const Copy& copy, const std::string& path) {
  const api::RegionV1& v1 = copy.region->v1;
  if (v1.initialized != api::kRegionMagic) {
    return Fail(Code::kDataLoss, path + " is no region: it does not begin with HAMi's number");
  }
  if (copy.bytes < sizeof(api::RegionV1)) {
    return Fail(Code::kDataLoss,
                fmt::format("{} has {} bytes, a region has at least {}: it was cut, or a "
                            "library older than HAMi-core 1.2 made it",
                            path, copy.bytes, sizeof(api::RegionV1)));
  }
  if (v1.major_version != api::kRegionMajor || v1.minor_version != api::kRegionMinor) {
    return Fail(Code::kDataLoss, fmt::format("{} is a region of version {}.{}, known here is {}.{}",
                                             path, v1.major_version, v1.minor_version,
                                             api::kRegionMajor, api::kRegionMinor));
  }
  return {};
}

// What stands in a field of fixed size, without anything that would move a terminal's cursor.
std::string PlainText(const char* text, size_t room) {
  std::string plain(text, strnlen(text, room));
  std::ranges::replace_if(plain, [](char c) { return c < ' ' || c > '~'; }, '?');
  return plain;
}

uint64_t BytesOf(api::LedgerWord word) { return region::UnitsOf(word) * api::kChargeUnitBytes; }

uint64_t Add(uint64_t left, uint64_t right) {
  uint64_t sum = 0;
  return __builtin_add_overflow(left, right, &sum) ? UINT64_MAX : sum;
}

// Reads one copy; `file` tells who is alive.
class Reader {
 public:
  Reader(const Copy& copy, const std::string& path) : v1_(copy.region->v1), ext_(copy.region->ext) {
    report_.path = path;
    report_.file_bytes = copy.bytes;
    report_.extended = copy.bytes >= api::kRegionFileBytes && ext_.magic == api::kExtensionMagic;
  }

  RegionReport Read(const share::RegionFile* file) && {
    ReadHeader();
    if (report_.extended) {
      ReadSlots(*file);
      CompareTotals();
    } else {
      ReadHamiSlots();
    }
    return std::move(report_);
  }

 private:
  template <typename... Arguments>
  void Complain(bool repairable, fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    report_.problems.push_back(
        {fmt::format(text, std::forward<Arguments>(arguments)...), repairable});
  }

  void ReadHeader() {
    report_.utilization_switch = v1_.utilization_switch;
    report_.recent_kernel = v1_.recent_kernel;
    report_.priority = v1_.priority;
    report_.last_kernel_time = v1_.last_kernel_time;
    if (report_.extended &&
        (ext_.version != api::kExtensionVersion || ext_.bytes != sizeof(ext_))) {
      Complain(false, "the extension is of version {}, known here is {}", ext_.version,
               api::kExtensionVersion);
    }
    uint64_t devices = v1_.device_count;
    if (devices > kMaxDevices) {
      Complain(false, "it says that it has {} devices; there is room for {}", devices, kMaxDevices);
      devices = 0;
    }
    for (size_t index = 0; index < devices; ++index) {
      DeviceReport device = {.uuid = PlainText(v1_.uuids[index], api::kUuidBytes),
                             .limit_bytes = v1_.limit_bytes[index],
                             .limit_cores_pct = v1_.limit_cores_pct[index]};
      if (report_.extended) {
        const api::DeviceExtension& extension = ext_.devices[index];
        device.hidden_bytes = extension.hidden_bytes;
        device.used_bytes = Add(BytesOf(extension.total), extension.hidden_bytes);
        device.gpu_ns = extension.charged_gpu_ns;
        device.throttled_ns = extension.throttled_ns;
        device.refused = extension.refused;
        device.disturbed = extension.disturbed;
      }
      report_.devices.push_back(std::move(device));
    }
    if (v1_.process_count < 0 || v1_.process_count > kMaxProcesses) {
      Complain(report_.extended, "it says that it has {} processes; there is room for {}",
               v1_.process_count, kMaxProcesses);
    }
  }

  bool IsHinted(int slot) const { return (ext_.slot_used[slot / 64] >> (slot % 64) & 1U) != 0; }

  void ReadSlots(const share::RegionFile& file) {
    for (int slot = 0; slot < kMaxProcesses; ++slot) {
      const api::SlotExtension& extension = ext_.slots[slot];
      uint64_t all_bytes = 0;
      ProcessReport process = {
          .slot = slot, .pid = v1_.processes[slot].pid, .host_pid = v1_.processes[slot].host_pid};
      for (int device = 0; device < kMaxDevices; ++device) {
        const uint64_t bytes = BytesOf(extension.charge[device]);
        all_bytes = Add(all_bytes, bytes);
        sums_[device] = Add(sums_[device], bytes);
        if (static_cast<size_t>(device) < report_.devices.size()) {
          process.used_bytes.push_back(bytes);
          process.gpu_ns.push_back(extension.gpu_ns[device]);
        }
      }
      if (extension.state == static_cast<uint32_t>(api::SlotState::kFree)) {
        if (all_bytes != 0) {
          Complain(true, "slot {} is free, and {} are counted for it", slot,
                   FormatBytesRounded(all_bytes));
        }
        continue;
      }
      process.alive = file.IsSlotAlive(slot);
      if (!*process.alive) {
        Complain(true, "slot {}: process {} has ended, and {} are still counted for it", slot,
                 process.pid, FormatBytesRounded(all_bytes));
      }
      if (!IsHinted(slot)) Complain(true, "slot {} is taken, and not marked so", slot);
      if (static_cast<uint32_t>(slot) >= ext_.slots_ever_used || slot >= v1_.process_count) {
        Complain(true, "slot {} is taken, and readers stop before it", slot);
      }
      report_.processes.push_back(std::move(process));
    }
  }

  void CompareTotals() {
    for (size_t index = 0; index < report_.devices.size(); ++index) {
      const api::LedgerWord total = ext_.devices[index].total;
      if (region::IsRecounting(total) || BytesOf(total) == sums_[index]) continue;
      Complain(true, "{}: {} are counted, its processes hold {}", report_.devices[index].uuid,
               FormatBytesRounded(BytesOf(total)), FormatBytesRounded(sums_[index]));
    }
  }

  // HAMi's own library: no locks tell who is alive, and its lists are dense.
  void ReadHamiSlots() {
    const int count = std::clamp(v1_.process_count, 0, kMaxProcesses);
    for (int slot = 0; slot < count; ++slot) {
      const api::ProcessSlot& shown = v1_.processes[slot];
      if (shown.sequence % 2 != 0) {
        Complain(false, "slot {}: a process died while it wrote; readers wait for it", slot);
      }
      if (shown.pid == 0) continue;
      ProcessReport process = {.slot = slot, .pid = shown.pid, .host_pid = shown.host_pid};
      for (size_t index = 0; index < report_.devices.size(); ++index) {
        const uint64_t bytes = shown.used[index].total_bytes;
        process.used_bytes.push_back(bytes);
        report_.devices[index].used_bytes = Add(report_.devices[index].used_bytes, bytes);
      }
      report_.processes.push_back(std::move(process));
    }
  }

  const api::RegionV1& v1_;
  const api::RegionExtension& ext_;
  uint64_t sums_[kMaxDevices] = {};
  RegionReport report_;
};

}  // namespace

Result<RegionReport> LookAtRegion(const std::string& path) {
  ASSIGN_OR_RETURN(const Copy copy, Load(path));
  RETURN_IF_ERROR(CheckVersion(copy, path));
  if (copy.bytes < api::kRegionFileBytes) return Reader(copy, path).Read(nullptr);
  ASSIGN_OR_RETURN(const share::RegionFile file, share::RegionFile::OpenToRead(path));
  return Reader(copy, path).Read(&file);
}

Result<RegionReport> ReadRegion(const std::string& path) {
  ASSIGN_OR_RETURN(RegionReport report, LookAtRegion(path));
  const bool live = std::ranges::any_of(
      report.processes, [](const ProcessReport& process) { return process.alive.value_or(false); });
  if (report.problems.empty() || !live) return report;
  std::this_thread::sleep_for(kSecondLook);
  ASSIGN_OR_RETURN(RegionReport again, LookAtRegion(path));
  std::erase_if(again.problems, [&](const Problem& problem) {
    return std::ranges::find(report.problems, problem) == report.problems.end();
  });
  return again;
}

}  // namespace hami::regionctl
