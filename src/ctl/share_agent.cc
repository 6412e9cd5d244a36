// SPDX-License-Identifier: Apache-2.0

#include "ctl/share_agent.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "ctl/notice.h"
#include "ctl/process_tree.h"
#include "gpu/inventory.h"

namespace hami::ctl {
namespace {

constexpr std::chrono::seconds kPeriod{1};
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
    const nvmlReturn_t result = nvml->nvmlDeviceGetHandleByIndex_v2(
        static_cast<unsigned>(device.index), &sight.handle);
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
  while (!stop_) {
    lock.unlock();
    Look();
    LookAtCompute();
    lock.lock();
    changed_.wait_for(lock, kPeriod, [this] { return stop_; });
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
      LOG_WARN_EVERY(kRepeatMs, "driver does not list processes", Field("error", processes.error()));
      continue;
    }
    sights.push_back(sight.device);
    sights.back().processes = std::move(*processes);
  }
  const ShareUsage usage = MeasureShare(
      sights, *slots, [this](int pid) { return IsBelow(spec_.tree_root, pid); });
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
  figures_.memory_high_water_bytes =
      std::max(figures_.memory_high_water_bytes, usage.driver_bytes);
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

void ShareAgent::LookAtCompute() {
  const Result<DeviceView> device = region_.ReadDevice(kGrantedDevice);
  const Result<std::map<int, uint64_t>> busy = sampler_->Sample();
  const int64_t now_ns = base::SystemClock().MonotonicNs();
  const int64_t elapsed_ns = now_ns - last_look_ns_;
  if (!device || !busy) {
    if (!busy && busy.error().code != Code::kUnimplemented) {
      LOG_WARN_EVERY(kRepeatMs, "driver does not tell utilisation", Field("error", busy.error()));
    }
    return;
  }
  uint64_t ours_ns = 0;
  uint64_t others_ns = 0;
  for (const auto& [pid, ns] : *busy) {
    (IsBelow(spec_.tree_root, pid) ? ours_ns : others_ns) += ns;
  }
  // The tenant may have set the counter back; then this look teaches nothing.
  const uint64_t charged_ns = device->charged_gpu_ns;
  const uint64_t delta_ns = charged_ns > charged_gpu_ns_ ? charged_ns - charged_gpu_ns_ : 0;
  charged_gpu_ns_ = charged_ns;
  if (last_look_ns_ == 0) {
    // Nothing to compare with yet; but where nobody else holds the device nobody computes on it.
    if (IsAlone()) {
      const Status written = region_.WriteNeighbourBusy(kGrantedDevice, 0);
      if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
    }
  } else {
    cost_scale_ = gpu::Learn(cost_scale_, ours_ns, delta_ns);
    const uint64_t busy_pct = others_ns * 100 / static_cast<uint64_t>(elapsed_ns);
    Status written = region_.WriteCostScale(kGrantedDevice, gpu::ToQ16(cost_scale_.scale));
    if (written) {
      written = region_.WriteNeighbourBusy(kGrantedDevice,
                                           static_cast<uint32_t>(std::min<uint64_t>(busy_pct, 100)));
    }
    if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
  }
  last_look_ns_ = now_ns;
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
