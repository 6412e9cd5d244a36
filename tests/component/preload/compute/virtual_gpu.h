// SPDX-License-Identifier: Apache-2.0
//
// The compute limit of libvgpu.so, its real sources, on a clock of the test's own: the library's
// time, sleeps, driver and region are this file's, and the device is the simulation's timeline. One
// thread plays a tenant; neighbours and the host's agent act whenever time passes. Nothing here
// depends on how fast or how busy the machine is, so a result is the same every time.
//
// One world per process at a time: the library's state is global.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "api/cuda/functions.h"
#include "gpu/cost_scale.h"
#include "preload/process.h"
#include "share/compute_pairs.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/timeline.h"

namespace hami::component {

inline constexpr uint64_t kUs = 1'000;
inline constexpr uint64_t kMs = 1'000'000;
inline constexpr uint64_t kSecond = 1'000'000'000;

struct WorldOptions {
  int cores_pct = 50;
  region::CorePolicy policy = region::CorePolicy::kForce;
  bool agent = true;             // the host's, as `hami run` has one
  uint64_t slice_ns = 2 * kMs;   // of the device
  uint64_t launch_ns = 3 * kUs;  // what a launch takes the tenant's thread
  uint64_t record_ns = 1 * kUs;  // and an event
  uint64_t delay_ns = 5 * kUs;   // from there to the device
  uint64_t oversleep_ns = 60 * kUs;
};

// Another tenant: kernels of `kernel_ns`, as many as fit, or spaced for `pct` of the device.
struct Neighbour {
  uint64_t kernel_ns = 1 * kMs;
  int pct = 0;  // 0: always busy
  uint64_t begins_ns = 0;
  uint64_t ends_ns = UINT64_MAX;
};

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  uint64_t now() const { return now_ns_; }
  void PassUntil(uint64_t moment_ns);
  void AddNeighbour(const Neighbour& neighbour);
  // Calls `act` once, when time passes `moment_ns`.
  void At(uint64_t moment_ns, std::function<void()> act);

  // GPU time of the tenant, and of all neighbours, up to now. Exact.
  uint64_t TenantNs();
  uint64_t NeighboursNs();

  // Through the library's hooks, as an application would.
  void LaunchKernel(uint64_t ns, int stream = 0);
  // That may begin before its predecessor has ended. No event may stand between them.
  void LaunchDependent(uint64_t ns);
  uint64_t events_recorded = 0;
  void Synchronise(int stream = 0);

  // Kernels back to back until `end_ns`; at most `in_flight_ns` of work is on its way.
  void Spin(uint64_t kernel_ns, uint64_t end_ns, int streams = 1, uint64_t in_flight_ns = 50 * kMs,
            bool dependent = false);

  region::DeviceLimit& limit() { return shares_->entries[0].limits.devices[0]; }
  preload::DevicePart& part() { return device_.parts[0]; }
  api::Region& region() { return *region_; }
  // What the agent does: new limits and a higher generation.
  void ReplaceCores(int cores_pct);

  // For the fakes.
  preload::Device& device() { return device_; }
  void FollowLimits();
  CUresult Submit(simgpu::WorkItem item, uint64_t lane);
  bool IsDone(CUevent event);
  bool IsIdle(uint32_t lane);
  CUresult Record(CUevent event, CUstream stream);
  CUresult Elapsed(float* milliseconds, CUevent from, CUevent to);
  const WorldOptions& options() const { return options_; }
  uint64_t launched_ns = 0;         // the time of the kernel that is launched next
  uint64_t longer_by = 1;           // every kernel takes so many times what it says
  bool is_capturing = false;        // all streams: what is launched goes into a graph
  uint32_t demand_q16 = 65536 / 8;  // how much of the device a kernel fills

 private:
  struct Other {
    Neighbour neighbour;
    uint32_t context;
    uint64_t next_ns;
  };
  struct Act {
    uint64_t at_ns;
    std::function<void()> act;
  };

  uint32_t NewContext();
  void Feed(Other& other);
  void TickAgent();
  uint64_t NextMoment() const;

  const WorldOptions options_;
  uint64_t now_ns_ = 1000 * kSecond;
  simgpu::State* state_;
  simgpu::Machine machine_;
  uint32_t context_;
  std::vector<Other> others_;
  std::vector<Act> acts_;
  api::Region* region_;
  preload::Shares* shares_;
  preload::Device device_ = {};
  uint64_t next_tick_ns_;
  int ticks_ = 0;
  uint64_t sampled_period_ = 0;
  share::ComputePairs pairs_;
  gpu::CostScales scales_;
  uint64_t neighbour_pct_ = 0;
};

World& TheWorld();

}  // namespace hami::component
