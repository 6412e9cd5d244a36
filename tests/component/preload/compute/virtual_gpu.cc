// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/compute/virtual_gpu.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "preload/compute.h"
#include "preload/driver.h"
#include "preload/graph_memory.h"
#include "preload/log.h"
#include "region/os.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"

namespace hami::component {
namespace {

constexpr uint64_t kTickNs = 100 * kMs;
constexpr uint64_t kAskNs = 25;  // what a look at the clock takes
constexpr uint64_t kBusyItems = 300;

World* the_world = nullptr;
preload::Shares the_shares;

// An event: its place, and the slot into which the timeline writes the time.
struct Event {
  uint32_t slot;
  bool recorded;
  simgpu::Place place;
};
std::vector<Event> events;

Event& EventOf(CUevent event) { return events.at(reinterpret_cast<uintptr_t>(event) - 1); }

uint32_t LaneOf(CUstream stream) {
  const auto value = reinterpret_cast<uintptr_t>(stream);
  return value < 16 ? 0 : static_cast<uint32_t>(value - 16);
}

}  // namespace

World& TheWorld() { return *the_world; }

World::World(const WorldOptions& options)
    : options_(options),
      state_(static_cast<simgpu::State*>(simgpu::os::MapPrivate(sizeof(simgpu::State), true))),
      region_(static_cast<api::Region*>(simgpu::os::MapPrivate(sizeof(api::Region), true))),
      shares_(&the_shares) {
  state_->config.device_count = 1;
  state_->config.devices[0].time_slice_ns = options.slice_ns;
  state_->devices[0].current = -1;
  state_->devices[0].now_ns = now_ns_;
  machine_.state = state_;
  context_ = NewContext();
  next_tick_ns_ = now_ns_ + kTickNs;
  events.clear();

  region_->v1.utilization_switch = 1;
  region_->v1.recent_kernel = 2;
  region_->ext.devices[0].cost_scale_q16 = 65536;
  region_->v1.processes[0].status = 1;
  *shares_ = {};
  shares_->grant = preload::Grant::kLimitsFiles;
  shares_->count = 1;
  preload::Share& share = shares_->entries[0];
  share.mapping.region = region_;
  share.mapping.slot = 0;
  share.limits.device_count = 1;
  device_.part_count = 1;
  device_.parts[0].share = &share;
  the_world = this;
  preload::ResetComputeAfterFork();
  limit().policy = options.policy;
  device_.parts[0].policy = options.policy;
  ReplaceCores(options.cores_pct);
  FollowLimits();
}

World::~World() {
  simgpu::os::Unmap(state_, sizeof(simgpu::State));
  simgpu::os::Unmap(region_, sizeof(api::Region));
  the_world = nullptr;
}

uint32_t World::NewContext() {
  const auto client = static_cast<uint32_t>(others_.size());
  machine_.client = client;
  state_->clients[client].in_use = 1;
  state_->clients_high = client + 1;
  return static_cast<uint32_t>(simgpu::OpenContext(machine_, *state_, 0));
}

void World::AddNeighbour(const Neighbour& neighbour) {
  others_.push_back({});
  const uint32_t context = NewContext();
  others_.back() = {neighbour, context, std::max(now_ns_, neighbour.begins_ns)};
}

void World::At(uint64_t moment_ns, std::function<void()> act) {
  acts_.push_back({moment_ns, std::move(act)});
}

void World::Feed(Other& other) {
  simgpu::WorkItem item = {};
  item.kind = simgpu::WorkKind::kKernel;
  item.remaining_ns = other.neighbour.kernel_ns;
  item.demand_q16 = 65536;
  item.ready_ns = now_ns_;
  if (now_ns_ >= other.neighbour.ends_ns) {
    other.next_ns = UINT64_MAX;
    return;
  }
  const simgpu::Lane& lane = state_->contexts[other.context].lanes[0];
  if (other.neighbour.pct != 0) {
    simgpu::Submit(*state_, other.context, 0, item, now_ns_);
    other.next_ns =
        now_ns_ + other.neighbour.kernel_ns * 100 / static_cast<uint64_t>(other.neighbour.pct);
    return;
  }
  const uint64_t deep = std::clamp<uint64_t>(20 * kMs / item.remaining_ns, 2, kBusyItems);
  while (lane.submitted - lane.completed < deep) {
    simgpu::Submit(*state_, other.context, 0, item, now_ns_);
  }
  other.next_ns = now_ns_ + std::min(5 * kMs, deep * item.remaining_ns / 2);
}

uint64_t World::NextMoment() const {
  uint64_t next = next_tick_ns_;
  for (const Other& other : others_) next = std::min(next, other.next_ns);
  for (const Act& act : acts_) next = std::min(next, act.at_ns);
  return next;
}

void World::PassUntil(uint64_t moment_ns) {
  while (NextMoment() <= moment_ns) {
    now_ns_ = std::max(now_ns_, NextMoment());
    simgpu::Advance(*state_, 0, now_ns_);
    for (Other& other : others_) {
      if (other.next_ns <= now_ns_) Feed(other);
    }
    if (next_tick_ns_ <= now_ns_) {
      next_tick_ns_ += kTickNs;
      if (options_.agent) TickAgent();
    }
    for (size_t i = 0; i < acts_.size(); ++i) {
      if (acts_[i].at_ns > now_ns_) continue;
      const std::function<void()> act = std::move(acts_[i].act);
      acts_.erase(acts_.begin() + static_cast<std::ptrdiff_t>(i--));
      act();
    }
  }
  now_ns_ = std::max(now_ns_, moment_ns);
  simgpu::Advance(*state_, 0, now_ns_);
}

// What src/share/share_agent.cc does, with the driver's samples as whole percents.
void World::TickAgent() {
  constexpr int kPid = 1;
  pairs_.NoteCharged(kPid, static_cast<int64_t>(now_ns_), region_->ext.slots[0].gpu_ns[0]);
  const uint64_t period = now_ns_ / simgpu::kLoadPeriodNs - 1;
  if (period > sampled_period_) {
    const auto pct_of = [&](uint32_t client) {
      const uint64_t busy_ns =
          simgpu::BusyInLastPeriod(state_->clients[client].devices[0].load, now_ns_);
      return (busy_ns * 100 + simgpu::kLoadPeriodNs / 2) / simgpu::kLoadPeriodNs;
    };
    const uint64_t begin_ns = period * simgpu::kLoadPeriodNs;
    pairs_.NoteBusy(kPid, static_cast<int64_t>(begin_ns),
                    static_cast<int64_t>(begin_ns + simgpu::kLoadPeriodNs),
                    pct_of(0) * simgpu::kLoadPeriodNs / 100);
    uint64_t others_pct = 0;
    for (uint32_t i = 1; i <= others_.size(); ++i) others_pct += pct_of(i);
    neighbour_pct_ = std::max(std::min<uint64_t>(others_pct, 100), neighbour_pct_ / 2);
    region_->ext.devices[0].neighbour_busy_pct = static_cast<uint32_t>(neighbour_pct_) + 1;
    sampled_period_ = period;
  }
  if (++ticks_ % 5 != 0) return;
  const share::ComputePairs::Pair pair = pairs_.Take();
  scales_ = gpu::Learn(scales_, neighbour_pct_ > 1, pair.true_ns, pair.charged_ns);
  region_->ext.devices[0].cost_scale_q16 = gpu::ToQ16(scales_.now().scale);
}

uint64_t World::TenantNs() {
  simgpu::Advance(*state_, 0, now_ns_);
  return state_->clients[0].devices[0].busy_ns;
}

uint64_t World::NeighboursNs() {
  simgpu::Advance(*state_, 0, now_ns_);
  uint64_t sum = 0;
  for (uint32_t i = 1; i <= others_.size(); ++i) sum += state_->clients[i].devices[0].busy_ns;
  return sum;
}

CUresult World::Submit(simgpu::WorkItem item, uint64_t lane_index) {
  const simgpu::Lane& lane = state_->contexts[context_].lanes[lane_index];
  while (lane.submitted - lane.completed >= simgpu::kLaneItems - 1) PassUntil(now_ns_ + 5 * kUs);
  item.ready_ns = now_ns_ + options_.delay_ns;
  simgpu::Submit(*state_, context_, static_cast<uint32_t>(lane_index), item, now_ns_);
  return CUDA_SUCCESS;
}

bool World::IsDone(CUevent event) {
  simgpu::Advance(*state_, 0, now_ns_);
  return simgpu::IsReached(*state_, EventOf(event).place);
}

bool World::IsIdle(uint32_t lane) {
  simgpu::Advance(*state_, 0, now_ns_);
  return simgpu::IsReached(*state_, simgpu::EndOfLane(*state_, context_, lane));
}

CUresult World::Record(CUevent handle, CUstream stream) {
  ++events_recorded;
  PassUntil(now_ns_ + options_.record_ns);
  Event& event = EventOf(handle);
  simgpu::WorkItem item = {};
  item.kind = simgpu::WorkKind::kMark;
  simgpu::EventSlot& slot = state_->events[event.slot];
  slot.done_ns = 0;
  item.mark = {event.slot, ++slot.record};
  Submit(item, LaneOf(stream));
  event.place = simgpu::EndOfLane(*state_, context_, LaneOf(stream));
  event.recorded = true;
  return CUDA_SUCCESS;
}

CUresult World::Elapsed(float* milliseconds, CUevent from, CUevent to) {
  const uint64_t from_ns = state_->events[EventOf(from).slot].done_ns;
  const uint64_t to_ns = state_->events[EventOf(to).slot].done_ns;
  if (from_ns == 0 || to_ns == 0) return CUDA_ERROR_NOT_READY;
  *milliseconds =
      static_cast<float>(static_cast<double>(to_ns) - static_cast<double>(from_ns)) / 1e6F;
  return CUDA_SUCCESS;
}

void World::ReplaceCores(int cores_pct) {
  limit().cores_pct = static_cast<uint32_t>(cores_pct);
  ++region_->ext.limits_generation;
}

void World::FollowLimits() {
  preload::Share& share = shares_->entries[0];
  if (share.generation_seen == region_->ext.limits_generation) return;
  share.generation_seen = region_->ext.limits_generation;
  device_.parts[0].cores_pct = limit().cores_pct;
  preload::StartCompute(shares_);
}

void World::LaunchKernel(uint64_t ns, int stream) {
  launched_ns = ns;
  // Kernels of different lengths are different functions.
  auto* function = reinterpret_cast<CUfunction>(0x1000 + ns * 16);
  auto* handle = reinterpret_cast<CUstream>(static_cast<uintptr_t>(stream == 0 ? 0 : 16 + stream));
  if (::cuLaunchKernel(function, 64, 1, 1, 128, 1, 1, 0, handle, nullptr, nullptr) !=
      CUDA_SUCCESS) {
    std::abort();
  }
}

void World::LaunchDependent(uint64_t ns) {
  launched_ns = ns;
  auto* function = reinterpret_cast<CUfunction>(0x1000 + ns * 16);
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  attribute.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config = {};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = config.blockDimY = config.blockDimZ = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  if (::cuLaunchKernelEx(&config, function, nullptr, nullptr) != CUDA_SUCCESS) std::abort();
}

void World::Synchronise(int stream) {
  const auto lane = static_cast<uint32_t>(stream);
  const simgpu::Place place = simgpu::EndOfLane(*state_, context_, lane);
  while (!simgpu::IsReached(*state_, place)) PassUntil(now_ns_ + 5 * kUs);
}

void World::Spin(uint64_t kernel_ns, uint64_t end_ns, int streams, uint64_t in_flight_ns,
                 bool dependent) {
  const uint64_t half = in_flight_ns / kernel_ns / 2 + 1;
  std::vector<simgpu::Place> marks;
  uint64_t launches = 0;
  while (now_ns_ < end_ns) {
    for (uint64_t i = 0; i < half && now_ns_ < end_ns; ++i, ++launches) {
      // Streams that wait for nothing lie behind the blocking ones.
      const auto stream = static_cast<int>(launches % static_cast<uint64_t>(streams));
      if (dependent) {
        LaunchDependent(kernel_ns);
      } else {
        LaunchKernel(kernel_ns, streams == 1 ? 0 : 21 + stream);
      }
    }
    const uint32_t lane = streams == 1 ? 0 : 21;
    marks.push_back(simgpu::EndOfLane(*state_, context_, lane));
    if (marks.size() < 2) continue;
    const simgpu::Place& before = marks[marks.size() - 2];
    while (!simgpu::IsReached(*state_, before)) PassUntil(now_ns_ + 5 * kUs);
  }
}

}  // namespace hami::component

// ---- what the library stands on
// -------------------------------------------------------------------

namespace hami::os {

using component::TheWorld;

uint64_t NowNs() {
  TheWorld().PassUntil(TheWorld().now() + component::kAskNs);
  return TheWorld().now();
}
uint64_t WallSeconds() { return TheWorld().now() / component::kSecond; }
void SleepUntil(uint64_t moment_ns) {
  if (moment_ns > TheWorld().now()) {
    TheWorld().PassUntil(moment_ns + TheWorld().options().oversleep_ns);
  }
}
void Yield() {}
int ThreadId() { return 1; }

}  // namespace hami::os

namespace hami::preload {

using component::TheWorld;

namespace {

ForkGate the_gate;

CUresult Launch(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                CUstream stream, void**, void**) {
  component::World& world = TheWorld();
  world.PassUntil(world.now() + world.options().launch_ns);
  if (world.is_capturing) return CUDA_SUCCESS;
  simgpu::WorkItem item = {};
  item.kind = simgpu::WorkKind::kKernel;
  item.remaining_ns = world.launched_ns * world.longer_by;
  item.demand_q16 = world.demand_q16;
  return world.Submit(item, component::LaneOf(stream));
}

CUresult LaunchOn(CUstream stream) {
  return Launch(nullptr, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr);
}

CUresult LaunchEx(const CUlaunchConfig* config, CUfunction, void**, void**) {
  return LaunchOn(config->hStream);
}

CUresult LaunchCooperative(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                           unsigned, CUstream stream, void**) {
  return LaunchOn(stream);
}

CUresult LaunchOnSeveral(CUDA_LAUNCH_PARAMS* launches, unsigned count, unsigned) {
  if (launches == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) LaunchOn(launches[i].hStream);
  return CUDA_SUCCESS;
}

void AddLaunches(CudaDriver& driver) {
  driver.cuLaunchKernel = Launch;
  driver.cuLaunchKernel_ptsz = Launch;
  driver.cuLaunchKernelEx = LaunchEx;
  driver.cuLaunchKernelEx_ptsz = LaunchEx;
  driver.cuLaunchCooperativeKernel = LaunchCooperative;
  driver.cuLaunchCooperativeKernel_ptsz = LaunchCooperative;
  driver.cuLaunchCooperativeKernelMultiDevice = LaunchOnSeveral;
  driver.cuLaunch = [](CUfunction) { return LaunchOn(nullptr); };
  driver.cuLaunchGrid = [](CUfunction, int, int) { return LaunchOn(nullptr); };
  driver.cuLaunchGridAsync = [](CUfunction, int, int, CUstream stream) { return LaunchOn(stream); };
}

CUresult AskCapture(CUstream, CUstreamCaptureStatus* status) {
  *status =
      TheWorld().is_capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

CUresult BeginCapture(CUstream, CUstreamCaptureMode) {
  TheWorld().is_capturing = true;
  return CUDA_SUCCESS;
}

CUresult EndCapture(CUstream, CUgraph* graph) {
  TheWorld().is_capturing = false;
  *graph = nullptr;
  return CUDA_SUCCESS;
}

// What the compute limit calls; anything else is a null pointer.
CudaDriver MakeDriver() {
  CudaDriver driver = {};
  AddLaunches(driver);
  driver.cuStreamIsCapturing = AskCapture;
  driver.cuStreamIsCapturing_ptsz = AskCapture;
  driver.cuStreamBeginCapture_v2 = BeginCapture;
  driver.cuStreamBeginCapture_v2_ptsz = BeginCapture;
  driver.cuStreamEndCapture = EndCapture;
  driver.cuStreamEndCapture_ptsz = EndCapture;
  driver.cuStreamQuery = [](CUstream stream) {
    TheWorld().PassUntil(TheWorld().now() + component::kUs / 5);
    return TheWorld().IsIdle(component::LaneOf(stream)) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  };
  driver.cuStreamQuery_ptsz = driver.cuStreamQuery;
  driver.cuCtxGetCurrent = [](CUcontext* context) {
    *context = reinterpret_cast<CUcontext>(1);
    return CUDA_SUCCESS;
  };
  driver.cuCtxGetDevice = [](CUdevice* device) {
    *device = 0;
    return CUDA_SUCCESS;
  };
  driver.cuStreamGetCtx = [](CUstream, CUcontext* context) {
    *context = reinterpret_cast<CUcontext>(1);
    return CUDA_SUCCESS;
  };
  driver.cuThreadExchangeStreamCaptureMode = [](CUstreamCaptureMode*) { return CUDA_SUCCESS; };
  driver.cuEventCreate = [](CUevent* event, unsigned) {
    component::events.push_back({static_cast<uint32_t>(component::events.size()), false, {}});
    *event = reinterpret_cast<CUevent>(component::events.size());
    return CUDA_SUCCESS;
  };
  driver.cuEventDestroy_v2 = [](CUevent) { return CUDA_SUCCESS; };
  driver.cuEventRecord = [](CUevent event, CUstream stream) {
    return TheWorld().Record(event, stream);
  };
  driver.cuEventRecord_ptsz = driver.cuEventRecord;
  driver.cuEventQuery = [](CUevent event) {
    TheWorld().PassUntil(TheWorld().now() + component::kUs / 5);
    return TheWorld().IsDone(event) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  };
  driver.cuEventElapsedTime = [](float* milliseconds, CUevent from, CUevent to) {
    return TheWorld().Elapsed(milliseconds, from, to);
  };
  return driver;
}

}  // namespace

CudaDriver cuda = MakeDriver();
std::atomic<bool> cuda_is_bound = true;
std::atomic<ForkGate*> fork_gate = &the_gate;

bool BindCudaSlow() { return true; }
Mode EnterCudaSlow() {
  the_gate.cuda_mode = Mode::kLimit;
  return Mode::kLimit;
}
Shares& CurrentShares() { return component::the_shares; }
void FollowLimits() { TheWorld().FollowLimits(); }
void SayDisturbances() {}
void WriteLog(LogLevel, const char*, ...) noexcept {}
Device* DeviceOfOrdinal(int) { return &TheWorld().device(); }
int SoleGrantedDevice() { return 0; }

// No graph here takes memory.
constinit std::atomic<int> memory_graph_count = 0;
bool PromiseLaunch(CUgraphExec, GraphPromise*) { return true; }
void EndPromise(const GraphPromise&) {}
GraphEnd BeginGraphEnd(CUgraphExec) { return {}; }
void FinishGraphEnd(CUgraphExec, const GraphEnd&, bool) {}

}  // namespace hami::preload
