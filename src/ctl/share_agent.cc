// SPDX-License-Identifier: Apache-2.0

#include "ctl/share_agent.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "ctl/notice.h"
#include "ctl/process_tree.h"
#include "gpu/inventory.h"

namespace hami::ctl {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr uint64_t kTicksPerLook = 10;
constexpr uint64_t kTicksPerComputeLook = 5;
constexpr int kTicksUntilIdle = 15;
constexpr size_t kTicksKept = 40;
constexpr std::chrono::seconds kStopPatience{2};
constexpr int kGrantedDevice = 0;  // `hami run` grants one device: the first of its limits file
constexpr int kRepeatMs = 60'000;

}  // namespace

ShareAgent::ShareAgent(const ShareAgentSpec& spec, RegionFile region)
    : spec_(spec), region_(std::move(region)) {}

Result<std::unique_ptr<ShareAgent>> ShareAgent::Start(const ShareAgentSpec& spec) {
  ASSIGN_OR_RETURN(RegionFile region, RegionFile::Open(spec.region_path));
  std::unique_ptr<ShareAgent> agent(new ShareAgent(spec, std::move(region)));
  RETURN_IF_ERROR(agent->FindDevices());
  agent->thread_ = std::thread(&ShareAgent::Run, agent.get());
  return agent;
}

ShareAgent::~ShareAgent() {
  ShareFigures ignored;
  if (thread_.joinable() && !Stop(&ignored)) thread_.detach();
}

bool ShareAgent::Stop(ShareFigures* figures) {
  std::unique_lock lock(mutex_);
  stop_ = true;
  changed_.notify_all();
  const bool answered = changed_.wait_for(lock, kStopPatience, [this] { return stopped_; });
  *figures = figures_;
  if (!answered) return false;
  lock.unlock();
  thread_.join();
  return true;
}

Status ShareAgent::FindDevices() {
  const gpu::Nvml& nvml = *spec_.nvml;
  ASSIGN_OR_RETURN(const gpu::Inventory inventory, gpu::ReadInventory(nvml));
  for (const gpu::Device& device : inventory.devices) {
    Sight sight = {.device = {.index = device.index, .uuid = device.uuid}, .handle = nullptr};
    const nvmlReturn_t result =
        nvml->nvmlDeviceGetHandleByIndex_v2(static_cast<unsigned>(device.index), &sight.handle);
    if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, device.uuid));
    if (device.uuid == spec_.device_uuid) {
      sight.device.granted_as = kGrantedDevice;
      sight.device.limit_bytes = spec_.limit_bytes;
      sampler_ = std::make_unique<gpu::UsageSampler>(nvml, sight.handle);
    }
    sights_.push_back(std::move(sight));
  }
  if (sampler_ == nullptr) return Fail(Code::kNotFound, "the granted GPU is gone");
  return {};
}

void ShareAgent::Run() {
  std::unique_lock lock(mutex_);
  for (uint64_t tick = 0; !stop_; ++tick) {
    lock.unlock();
    WatchCompute();
    if (tick % kTicksPerLook == 0) Look();
    if (tick % kTicksPerComputeLook == 0) LookAtCompute();
    lock.lock();
    changed_.wait_for(lock, kTick, [this] { return stop_; });
  }
  stopped_ = true;
  changed_.notify_all();
}

void ShareAgent::Look() {
  const Result<std::vector<SlotView>> slots = region_.ReadSlots();
  if (!slots) {
    LOG_WARN_EVERY(kRepeatMs, "region not readable", Field("error", slots.error()));
    return;
  }
  std::vector<DeviceSight> sights;
  for (Sight& sight : sights_) {
    Result<std::vector<gpu::DeviceProcess>> processes =
        gpu::ListProcesses(*spec_.nvml, sight.handle);
    if (!processes) {
      LOG_WARN_EVERY(kRepeatMs, "driver does not list processes",
                     Field("error", processes.error()));
      continue;
    }
    sights.push_back(sight.device);
    sights.back().processes = std::move(*processes);
  }
  const ShareUsage usage =
      MeasureShare(sights, *slots, [this](int pid) { return IsBelow(spec_.tree_root, pid); });
  for (const SlotFigure& figure : usage.slots) {
    const Status written =
        region_.WriteDriverBytes(figure.slot, figure.granted_as, figure.driver_bytes);
    if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
  }
  if (std::ranges::any_of(*slots, [](const SlotView& slot) { return !slot.alive; })) {
    const Status reaped = region_.ReapDeadSlots();
    if (!reaped) LOG_WARN_EVERY(kRepeatMs, "dead slots not freed", Field("error", reaped.error()));
  }
  for (const Escape& escape : usage.escapes) Report(escape);
  if (usage.escapes.empty()) reported_.clear();
  const std::lock_guard lock(mutex_);
  figures_.memory_high_water_bytes = std::max(figures_.memory_high_water_bytes, usage.driver_bytes);
}

bool ShareAgent::IsAlone() const {
  for (const Sight& sight : sights_) {
    if (sight.device.granted_as != kGrantedDevice) continue;
    const Result<std::vector<gpu::DeviceProcess>> processes =
        gpu::ListProcesses(*spec_.nvml, sight.handle);
    return processes && std::ranges::all_of(*processes, [this](const gpu::DeviceProcess& process) {
             return IsBelow(spec_.tree_root, process.pid);
           });
  }
  return false;
}

// The driver averages over periods of a sixth of a second to a second and shows the newest: each
// has to be seen. The tenant may set its counter back; then time seems to stand still for a look.
void ShareAgent::WatchCompute() {
  const Result<DeviceView> device = region_.ReadDevice(kGrantedDevice);
  const Result<std::map<int, uint64_t>> busy = sampler_->Sample();
  if (device) {
    ticks_.push_back({base::SystemClock().MonotonicNs(), device->charged_gpu_ns});
    if (ticks_.size() > kTicksKept) ticks_.pop_front();
  }
  const uint64_t seen_us = sampler_->last_seen_us();
  if (!busy) {
    if (busy.error().code != Code::kUnimplemented) {
      LOG_WARN_EVERY(kRepeatMs, "driver does not tell utilisation", Field("error", busy.error()));
    }
    return;
  }
  uint64_t others_ns = 0;
  for (const auto& [pid, ns] : *busy) {
    (IsBelow(spec_.tree_root, pid) ? ours_ns_ : others_ns) += ns;
  }
  if (watched_until_us_ != 0 && seen_us > watched_until_us_) {
    TellNeighbourBusy(others_ns / 10 / (seen_us - watched_until_us_));
  }
  // Some drivers give no samples while nothing runs.
  ticks_without_sample_ = seen_us > watched_until_us_ ? 0 : ticks_without_sample_ + 1;
  if (watched_until_us_ != 0 && ticks_without_sample_ > kTicksUntilIdle) TellNeighbourBusy(0);
  watched_until_us_ = seen_us;
}

// Busy is told at once, idle after about a second of it: what the library learns in between would
// contain the neighbours' time slices.
void ShareAgent::TellNeighbourBusy(uint64_t pct) {
  neighbour_pct_ = std::max(std::min<uint64_t>(pct, 100), neighbour_pct_ / 2);
  const Status written =
      region_.WriteNeighbourBusy(kGrantedDevice, static_cast<uint32_t>(neighbour_pct_));
  if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
}

uint64_t ShareAgent::ChargedAt(int64_t time_ns) const {
  if (ticks_.empty()) return 0;
  for (size_t i = 1; i < ticks_.size(); ++i) {
    const Tick& before = ticks_[i - 1];
    const Tick& after = ticks_[i];
    if (time_ns > after.time_ns || after.charged_gpu_ns < before.charged_gpu_ns) continue;
    if (time_ns <= before.time_ns) return before.charged_gpu_ns;
    const double part = static_cast<double>(time_ns - before.time_ns) /
                        static_cast<double>(after.time_ns - before.time_ns);
    return before.charged_gpu_ns +
           static_cast<uint64_t>(part *
                                 static_cast<double>(after.charged_gpu_ns - before.charged_gpu_ns));
  }
  return ticks_.back().charged_gpu_ns;
}

void ShareAgent::LookAtCompute() {
  Status written;
  if (sampler_->last_seen_us() == 0) {
    // Nothing to compare with yet; but where nobody else holds the device nobody computes on it.
    written = region_.WriteNeighbourBusy(kGrantedDevice,
                                         IsAlone() ? std::optional<uint32_t>(0) : std::nullopt);
    if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
    return;
  }
  // The samples' times are wall clock.
  const int64_t wall_ns = base::SystemClock().WallNs();
  const int64_t now_ns = base::SystemClock().MonotonicNs();
  const int64_t until_ns =
      now_ns - (wall_ns - static_cast<int64_t>(sampler_->last_seen_us()) * 1000);
  if (looked_until_ns_ == 0) looked_until_ns_ = until_ns;
  if (until_ns > looked_until_ns_) {
    const uint64_t charged_before = ChargedAt(looked_until_ns_);
    const uint64_t charged_now = ChargedAt(until_ns);
    const uint64_t delta_ns = charged_now > charged_before ? charged_now - charged_before : 0;
    cost_scale_ = gpu::Learn(cost_scale_, ours_ns_, delta_ns);
    written = region_.WriteCostScale(kGrantedDevice, gpu::ToQ16(cost_scale_.scale));
  }
  if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
  looked_until_ns_ = until_ns;
  ours_ns_ = 0;
}

void ShareAgent::Report(const Escape& escape) {
  if (reported_.insert(escape.pid).second) {
    Notice(fmt::format(
        "pid {} ({}) goes round the limit: this slice holds {} of GPU {}, granted {}; {}{}",
        escape.pid, CommandOf(escape.pid, 60), base::FormatBytesRounded(escape.driver_bytes),
        escape.device_index, base::FormatBytesRounded(escape.limit_bytes),
        escape.has_slot ? "its own figure is too low" : "it does not use the library",
        spec_.on_escape == OnEscape::kKill ? "; it is killed" : ""));
    const std::lock_guard lock(mutex_);
    ++figures_.escapes;
  }
  if (spec_.on_escape == OnEscape::kKill) kill(escape.pid, SIGKILL);
}

}  // namespace hami::ctl
