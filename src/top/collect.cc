// SPDX-License-Identifier: Apache-2.0

#include "top/collect.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "top/find_shares.h"
#include "top/plain_text.h"
#include "top/rates.h"
#include "top/slices.h"

namespace hami::top {
namespace {

constexpr size_t kMostNoteLength = 300;

// What the driver saw of the slice's processes. PIDs are the tenant's word, so one that is in two
// slices of a device counts for neither.
void AddDriverCompute(const DriverDevice& seen, int64_t interval_ns, Snapshot* snapshot) {
  std::map<int, int> claims;
  for (const Slice& slice : snapshot->slices) {
    if (slice.device_uuid != seen.device.uuid) continue;
    for (const Process& process : slice.processes) {
      if (process.host_pid) ++claims[*process.host_pid];
    }
  }
  for (Slice& slice : snapshot->slices) {
    if (slice.device_uuid != seen.device.uuid || !slice.counted ||
        (slice.cores_enforced && slice.gpu_ns) || slice.compute_source != ComputeSource::kNone) {
      continue;
    }
    uint64_t busy_ns = 0;
    bool all_known = true;
    for (Process& process : slice.processes) {
      all_known = all_known && process.host_pid && claims[*process.host_pid] == 1;
      if (!all_known) break;
      const auto found = seen.busy_ns->find(*process.host_pid);
      const uint64_t process_ns = found == seen.busy_ns->end() ? 0 : found->second;
      process.compute_pct = PercentOf(process_ns, interval_ns);
      busy_ns += process_ns;
    }
    if (!all_known) continue;
    slice.compute_pct = PercentOf(busy_ns, interval_ns);
    slice.compute_source = ComputeSource::kDriver;
  }
}

}  // namespace

void AddDriver(const DriverLook& look, Snapshot* snapshot) {
  snapshot->driver_version = PlainText(look.version, 64);
  snapshot->simulation = PlainText(look.simulation, 256);
  for (const DriverDevice& seen : look.devices) {
    snapshot->devices.push_back({.index = seen.device.index,
                                 .uuid = PlainText(seen.device.uuid, 96),
                                 .name = PlainText(seen.device.name, 96),
                                 .memory_bytes = seen.device.memory_bytes,
                                 .used_bytes = seen.device.memory_used_bytes,
                                 .utilization_pct = seen.utilization_pct});
    for (Slice& slice : snapshot->slices) {
      if (slice.device_uuid != seen.device.uuid) continue;
      slice.device_index = seen.device.index;
      slice.device_name = snapshot->devices.back().name;
      slice.simulated = !look.simulation.empty();
      // The containers of a claim for the whole device run without the library.
      if (slice.kind == Kind::kClaim && !slice.cores_limit_pct && slice.memory_limit_bytes &&
          *slice.memory_limit_bytes >= seen.device.memory_bytes) {
        slice.rung = "none";
      }
    }
    if (seen.busy_ns && snapshot->interval_ns) {
      AddDriverCompute(seen, *snapshot->interval_ns, snapshot);
    }
  }
}

void SumSlices(Snapshot* snapshot) {
  for (const Slice& slice : snapshot->slices) {
    if (slice.device_uuid.empty()) continue;
    auto device = std::ranges::find(snapshot->devices, slice.device_uuid, &Device::uuid);
    if (device == snapshot->devices.end()) {
      snapshot->devices.push_back(
          {.index = slice.device_index, .uuid = slice.device_uuid, .name = slice.device_name});
      device = snapshot->devices.end() - 1;
    }
    ++device->slices;
    const uint64_t bytes = slice.memory_limit_bytes.value_or(0);
    if (__builtin_add_overflow(device->granted_bytes, bytes, &device->granted_bytes)) {
      device->granted_bytes = UINT64_MAX;
    }
    device->granted_cores_pct += slice.cores_limit_pct.value_or(0);
  }
}

void Collector::LookAtShares(Snapshot* snapshot, std::vector<std::string>* simulations) const {
  Shares found = FindShares(sources_, paths_);
  for (const std::string& note : found.notes) {
    snapshot->notes.push_back(PlainText(note, kMostNoteLength));
  }
  snapshot->failed = found.failed;
  for (const Share& share : found.shares) {
    const std::optional<RunNote> note = sources_.read_note && share.kind != Kind::kContainer
                                            ? sources_.read_note(share.folder)
                                            : std::nullopt;
    if (note && !note->simulation.empty() &&
        std::ranges::find(*simulations, note->simulation) == simulations->end()) {
      simulations->push_back(note->simulation);
    }
    for (Slice& slice : ReadSlices(share, note)) {
      if (!slice.problem.empty()) snapshot->notes.push_back(slice.name + ": " + slice.problem);
      snapshot->failed = snapshot->failed || (!slice.problem.empty() && !paths_.empty());
      snapshot->slices.push_back(std::move(slice));
    }
  }
}

void Collector::LookAtDriver(const std::vector<std::string>& simulations, Snapshot* snapshot) {
  Status looked;
  if (driver_ == nullptr && sources_.load_driver) {
    Result<std::unique_ptr<gpu::Nvml>> nvml = sources_.load_driver(simulations);
    if (nvml) {
      driver_ = std::make_unique<DriverView>(std::move(*nvml));
    } else {
      looked = Fail(std::move(nvml).error());
    }
  }
  if (driver_ != nullptr) {
    const Result<DriverLook> look = driver_->Look();
    if (look) {
      AddDriver(*look, snapshot);
    } else {
      looked = Fail(look.error());
      driver_.reset();  // a driver may come back
    }
  }
  if (looked) return;
  // A machine without GPUs that has none in use is no news.
  std::string note = looked.error().message;
  note.resize(std::min(note.size(), note.find('\n')));
  snapshot->notes.push_back(
      PlainText(note + "; devices are those that slices name", kMostNoteLength));
}

const Snapshot& Collector::Look() {
  Snapshot now;
  now.wall_ns = clock_.WallNs();
  now.monotonic_ns = clock_.MonotonicNs();
  std::vector<std::string> simulations;
  LookAtShares(&now, &simulations);
  if (has_last_) CompareLooks(last_, &now);
  LookAtDriver(simulations, &now);
  SumSlices(&now);
  last_ = std::move(now);
  has_last_ = true;
  return last_;
}

}  // namespace hami::top
