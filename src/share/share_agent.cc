// SPDX-License-Identifier: Apache-2.0

#include "share/share_agent.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpu/inventory.h"

namespace hami::share {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr uint64_t kTicksPerLook = kLookPeriod / kTick;
constexpr uint64_t kTicksPerComputeLook = 5;
constexpr int kTicksUntilIdle = 15;
constexpr uint64_t kIdlePct = 1;  // of neighbours, as the library takes it (src/preload/rate.cc)
constexpr std::chrono::seconds kStopPatience{2};
constexpr int kGrantedDevice = 0;  // `hami run` grants one device: the first of its limits file
constexpr int kRepeatMs = 60'000;

// Readings that took longer are of no one moment: this thread was kept from the CPU.
constexpr int64_t kAtOnceNs = 10'000'000;

// From the monotonic clock to the wall clock. The two are read one after the other, so the closest
// of a few pairs is taken.
int64_t WallOffsetNs(const base::Clock& clock) {
  constexpr int kPairs = 3;
  int64_t least_ns = INT64_MAX;
  int64_t offset_ns = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    const int64_t before_ns = clock.MonotonicNs();
    const int64_t wall_ns = clock.WallNs();
    const int64_t apart_ns = clock.MonotonicNs() - before_ns;
    if (apart_ns >= least_ns) continue;
    least_ns = apart_ns;
    offset_ns = wall_ns - before_ns;
  }
  return offset_ns;
}

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

// A region that its tenant cut short accounts for nobody, and that is what is seen then: who holds
// memory is outside. It gets its length back, so that processes which have it mapped live on.
std::vector<SlotView> ShareAgent::ReadSlots() const {
  Result<std::vector<SlotView>> slots = region_.ReadSlots();
  if (slots) return std::move(*slots);
  LOG_WARN_EVERY(kRepeatMs, "region not readable", Field("error", slots.error()));
  const Status restored = region_.RestoreLength();
  if (!restored) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", restored.error()));
  return {};
}

void ShareAgent::Look() {
  const std::vector<SlotView> slots = ReadSlots();
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
  const std::vector<SlotView> slots_after = ReadSlots();
  const ShareUsage usage = MeasureShare(sights, LargerCharges(slots, slots_after), spec_.is_member);
  // What is not seen this time is still there.
  if (sights.size() == sights_.size()) TellHidden(usage.hidden_bytes);
  for (const SlotFigure& figure : usage.slots) {
    const Status written =
        region_.WriteDriverBytes(figure.slot, figure.granted_as, figure.driver_bytes);
    if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
  }
  if (std::ranges::any_of(slots, [](const SlotView& slot) { return !slot.alive; })) {
    ReapDeadSlots();
  }
  ReportOutsiders(WithoutSlot(usage.outsiders, slots, slots_after));
  for (const Escape& escape : usage.escapes) Report(escape);
  if (usage.escapes.empty()) reported_.clear();
  const std::lock_guard lock(mutex_);
  figures_.memory_high_water_bytes = std::max(figures_.memory_high_water_bytes, usage.driver_bytes);
}

// A region in which that fails costs its agent two seconds each time: its tenant wrote over it.
void ShareAgent::ReapDeadSlots() {
  const int64_t now_ns = base::SystemClock().MonotonicNs();
  if (now_ns < reap_again_ns_) return;
  const Status reaped = region_.ReapDeadSlots();
  if (reaped) return;
  reap_again_ns_ = now_ns + int64_t{kRepeatMs} * 1'000'000;
  LOG_WARN("dead slots not freed", Field("region", spec_.region_path),
           Field("error", reaped.error()));
}

// Modules that load lazily, what the driver keeps for itself, programs without the library: nothing
// charged them before they came, so they count from when they are seen.
void ShareAgent::TellHidden(const std::map<int, uint64_t>& hidden_bytes) {
  const uint64_t bytes = HiddenInBoth(hidden_before_, hidden_bytes);
  hidden_before_ = hidden_bytes;
  const Status written = region_.WriteHidden(kGrantedDevice, bytes);
  if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
}

bool ShareAgent::IsAlone() const {
  for (const Sight& sight : sights_) {
    if (sight.device.granted_as != kGrantedDevice) continue;
    const Result<std::vector<gpu::DeviceProcess>> processes =
        gpu::ListProcesses(*spec_.nvml, sight.handle);
    return processes && std::ranges::all_of(*processes, [this](const gpu::DeviceProcess& process) {
             return spec_.is_member(process.pid);
           });
  }
  return false;
}

// The driver averages over periods of a sixth of a second to a second and shows the newest: each
// has to be seen.
void ShareAgent::WatchCompute() {
  const base::Clock& clock = base::SystemClock();
  const int64_t read_ns = clock.MonotonicNs();
  const std::vector<SlotView> slots = ReadSlots();
  const bool were_read_at_once = clock.MonotonicNs() - read_ns < kAtOnceNs;
  for (const SlotView& slot : slots) {
    if (!were_read_at_once || !slot.alive || slot.host_pid == 0) continue;
    pairs_.NoteCharged(slot.host_pid, read_ns, slot.charged_gpu_ns[kGrantedDevice]);
  }
  const Result<std::vector<gpu::BusySpan>> spans = sampler_->Sample();
  const uint64_t seen_us = sampler_->last_seen_us();
  if (!spans) {
    if (spans.error().code != Code::kUnimplemented) {
      LOG_WARN_EVERY(kRepeatMs, "driver does not tell utilisation", Field("error", spans.error()));
    }
    return;
  }
  const int64_t wall_offset_ns = WallOffsetNs(clock);  // of the samples' clock
  uint64_t others_ns = 0;
  for (const gpu::BusySpan& span : *spans) {
    if (spec_.is_member(span.pid)) {
      pairs_.NoteBusy(span.pid, static_cast<int64_t>(span.begin_us) * 1000 - wall_offset_ns,
                      static_cast<int64_t>(span.end_us) * 1000 - wall_offset_ns, span.busy_ns);
    } else {
      others_ns += span.busy_ns;
    }
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

void ShareAgent::LookAtCompute() {
  Status written;
  if (sampler_->last_seen_us() == 0) {
    // Nothing to compare with yet; but where nobody else holds the device nobody computes on it.
    written = region_.WriteNeighbourBusy(kGrantedDevice,
                                         IsAlone() ? std::optional<uint32_t>(0) : std::nullopt);
  } else {
    const ComputePairs::Pair pair = pairs_.Take();
    const bool is_busy = neighbour_pct_ > kIdlePct;
    cost_scales_ = gpu::Learn(cost_scales_, is_busy, pair.true_ns, pair.charged_ns);
    written = region_.WriteCostScale(kGrantedDevice, gpu::ToQ16(cost_scales_.now().scale));
  }
  if (!written) LOG_WARN_EVERY(kRepeatMs, "region not writable", Field("error", written.error()));
}

// Whatever it holds: nothing refuses it more, and nothing slows it down.
void ShareAgent::ReportOutsiders(const std::vector<Outsider>& outsiders) {
  std::set<int> seen;
  for (const Outsider& outsider : outsiders) {
    const bool is_first = seen.insert(outsider.pid).second;  // of its devices
    if (is_first && !outsiders_.contains(outsider.pid)) {
      if (spec_.report_outsider) spec_.report_outsider(outsider);
      const std::lock_guard lock(mutex_);
      ++figures_.outsiders;
    }
    if (is_first && spec_.on_escape == OnEscape::kKill) KillMember(outsider.pid);
  }
  outsiders_ = std::move(seen);
}

void ShareAgent::Report(const Escape& escape) {
  if (reported_.insert(escape.pid).second) {
    spec_.report(escape);
    const std::lock_guard lock(mutex_);
    ++figures_.escapes;
  }
  if (spec_.on_escape == OnEscape::kKill) KillMember(escape.pid);
}

// The process may have ended since the driver was asked, and its PID be a stranger's: held by a
// descriptor it is asked for once more.
void ShareAgent::KillMember(int pid) const {
  const base::Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process && errno == ESRCH) return;
  if (!spec_.is_member(pid)) return;
  if (process) {
    syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  } else {
    kill(pid, SIGKILL);  // Linux before 5.3
  }
}

}  // namespace hami::share
