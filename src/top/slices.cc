// SPDX-License-Identifier: Apache-2.0

#include "top/slices.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>

#include "api/share/agent.h"
#include "base/file.h"
#include "region/limits.h"
#include "regionctl/report.h"
#include "top/plain_text.h"
#include "top/process_name.h"

namespace hami::top {
namespace {

constexpr size_t kMostProblemLength = 200;
constexpr char kPreload[] = "preload";

Slice NewSlice(const Share& share, const std::optional<RunNote>& note, size_t number) {
  Slice slice;
  slice.name = share.name;
  slice.kind = share.kind;
  slice.path = share.region;
  slice.number = static_cast<int>(number);
  slice.rung = kPreload;
  if (note) {
    slice.device_name = PlainText(note->device_name, 64);
    slice.device_index = note->device_index;
    slice.degraded = note->degraded;
    slice.simulated = !note->simulation.empty();
  }
  return slice;
}

std::optional<uint32_t> CoresLimit(uint64_t percent) {
  if (percent == 0 || percent >= 100) return std::nullopt;
  return static_cast<uint32_t>(percent);
}

void CountProcesses(const regionctl::RegionReport& report, bool inside, Slice* slice) {
  const auto device = static_cast<size_t>(slice->number);
  for (const regionctl::ProcessReport& seen : report.processes) {
    Process process = {.slot = seen.slot, .pid = seen.pid, .alive = seen.alive};
    if (device < seen.used_bytes.size()) process.used_bytes = seen.used_bytes[device];
    if (device < seen.gpu_ns.size()) process.gpu_ns = seen.gpu_ns[device];
    // A process has a slot for all devices of the region.
    if (device > 0 && process.used_bytes == 0 && process.gpu_ns == 0) continue;
    const int pid = inside ? seen.pid : seen.host_pid;
    if (pid > 0) process.host_pid = pid;
    if (process.host_pid && process.alive.value_or(true)) {
      process.command = ProcessName(*process.host_pid);
    }
    slice->processes.push_back(std::move(process));
  }
}

void Count(const regionctl::RegionReport& report, bool forced, bool inside, Slice* slice) {
  slice->counted = true;
  slice->cores_enforced =
      slice->cores_limit_pct.has_value() && (forced || report.utilization_switch != 0);
  slice->launches_held = report.recent_kernel < 0;
  CountProcesses(report, inside, slice);
  const auto device = static_cast<size_t>(slice->number);
  if (report.extended) slice->gpu_ns = slice->throttled_ns = slice->refused = 0;
  // Before its first program has come the region names no device.
  if (device >= report.devices.size()) return;
  const regionctl::DeviceReport& used = report.devices[device];
  slice->used_bytes = used.used_bytes;
  slice->hidden_bytes = used.hidden_bytes;
  if (!report.extended) return;
  slice->gpu_ns = used.gpu_ns;
  slice->throttled_ns = used.throttled_ns;
  slice->refused = used.refused;
}

std::vector<Slice> SlicesOfLimits(const Share& share, const std::optional<RunNote>& note,
                                  const region::Limits& limits) {
  std::vector<Slice> slices;
  for (int i = 0; i < limits.device_count; ++i) {
    const region::DeviceLimit& limit = limits.devices[i];
    Slice slice = NewSlice(share, note, static_cast<size_t>(i));
    slice.device_uuid = PlainText(limit.uuid, api::kUuidBytes);
    slice.memory_limit_bytes = limit.memory_bytes;
    if (limit.policy != region::CorePolicy::kDisable) {
      slice.cores_limit_pct = CoresLimit(limit.cores_pct);
    }
    slices.push_back(std::move(slice));
  }
  return slices;
}

// HAMi's own library keeps its limits in the region.
std::vector<Slice> SlicesOfRegion(const Share& share, const std::optional<RunNote>& note,
                                  const regionctl::RegionReport& report) {
  std::vector<Slice> slices;
  for (size_t i = 0; i < report.devices.size(); ++i) {
    const regionctl::DeviceReport& device = report.devices[i];
    Slice slice = NewSlice(share, note, i);
    slice.device_uuid = device.uuid;
    if (device.limit_bytes != 0) slice.memory_limit_bytes = device.limit_bytes;
    slice.cores_limit_pct = CoresLimit(device.limit_cores_pct);
    slices.push_back(std::move(slice));
  }
  return slices;
}

// Beside a region of HAMi's own library the tenant may make files; none of them is a limits file.
bool HasLimitsFile(const Share& share, const std::string& path) {
  struct stat info = {};
  return share.region == base::JoinPath(share.folder, api::kRegionFile) &&
         lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

std::vector<Slice> ReadSlices(const Share& share, const std::optional<RunNote>& note) {
  const Result<regionctl::RegionReport> report = regionctl::LookAtRegion(share.region);
  const std::string path = base::JoinPath(share.folder, api::kLimitsFile);
  const bool has_limits = HasLimitsFile(share, path);
  const auto limits = std::make_unique<region::Limits>();
  region::LimitsError error = {nullptr, 0};
  if (has_limits) error = region::LoadLimits(path.c_str(), limits.get());

  std::vector<Slice> slices;
  if (has_limits && error.what == nullptr) {
    slices = SlicesOfLimits(share, note, *limits);
  } else if (report) {
    slices = SlicesOfRegion(share, note, *report);
  }
  // What is in use is shown, whatever is wrong with it.
  if (slices.empty()) slices.push_back(NewSlice(share, note, 0));
  for (Slice& slice : slices) {
    const bool forced = has_limits && error.what == nullptr &&
                        limits->devices[slice.number].policy == region::CorePolicy::kForce;
    if (report) Count(*report, forced, share.inside, &slice);
    if (!report) slice.problem = PlainText(report.error().message, kMostProblemLength);
    if (error.what != nullptr) {
      slice.memory_limit_bytes.reset();
      slice.cores_limit_pct.reset();
      slice.problem = PlainText(fmt::format("{}: {}", path, error.what), kMostProblemLength);
    }
  }
  return slices;
}

}  // namespace hami::top
