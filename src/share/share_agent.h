// SPDX-License-Identifier: Apache-2.0
//
// The host's view of one share while it runs: twice a second it reads the driver's memory and
// utilisation per process, writes what the tenant's library needs of it into the region (the
// driver's own bytes per slot, what no slot accounts for, the cost scale, how busy the neighbours
// are), frees the slots of dead processes, and reports who holds more than was granted and who uses
// the GPU without the library. What comes is reported within a second.
//
// A thread of its own, because a call into a sick driver can hang, and signals and PIDs must be
// served all the same. Public functions are for the owner's thread.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "gpu/cost_scale.h"
#include "gpu/nvml.h"
#include "gpu/process_usage.h"
#include "share/compute_pairs.h"
#include "share/region_file.h"
#include "share/share_usage.h"

namespace hami::share {

enum class OnEscape : uint8_t { kReport, kKill };

// Whether a process, by its PID as the host knows it, belongs to the share. Called on the agent's
// thread.
using IsMember = std::function<bool(int pid)>;

// How long between two looks at the driver's lists.
inline constexpr std::chrono::milliseconds kLookPeriod{500};
static_assert(2 * kLookPeriod <= std::chrono::seconds(1), "what comes is reported within a second");

// Told once for each process that goes round the limit, on the agent's thread.
using ReportEscape = std::function<void(const Escape& escape)>;

// Told once for each process that uses a GPU and has no account in the region, on the agent's
// thread.
using ReportOutsider = std::function<void(const Outsider& outsider)>;

struct ShareAgentSpec {
  const gpu::Nvml* nvml = nullptr;
  std::string region_path;
  std::string device_uuid;
  uint64_t limit_bytes = 0;
  IsMember is_member;
  OnEscape on_escape = OnEscape::kReport;
  ReportEscape report;
  ReportOutsider report_outsider;  // may be empty
};

struct ShareFigures {
  uint64_t memory_high_water_bytes = 0;  // the driver's figure, as seen at each look
  uint64_t escapes = 0;                  // processes that held more than was granted
  uint64_t outsiders = 0;                // processes for which the limits were not active
};

class ShareAgent {
 public:
  static Result<std::unique_ptr<ShareAgent>> Start(const ShareAgentSpec& spec);
  ~ShareAgent();
  ShareAgent(const ShareAgent&) = delete;
  ShareAgent& operator=(const ShareAgent&) = delete;

  // Ends the thread and gives its figures. False if it does not answer within two seconds (it hangs
  // in the driver): then the process must end without destructors (_exit).
  bool Stop(ShareFigures* figures);

 private:
  struct Sight {
    DeviceSight device;
    nvmlDevice_t handle;
  };

  ShareAgent(const ShareAgentSpec& spec, RegionFile region);
  Status FindDevices();
  void Run();
  std::vector<SlotView> ReadSlots() const;
  void Look();
  void TellHidden(const std::map<int, uint64_t>& hidden_bytes);
  bool IsAlone() const;  // nobody else holds the granted device
  void WatchCompute();
  void LookAtCompute();
  void TellNeighbourBusy(uint64_t pct);
  void ReapDeadSlots();
  void Report(const Escape& escape);
  void KillMember(int pid) const;
  void ReportOutsiders(const std::vector<Outsider>& outsiders);

  const ShareAgentSpec spec_;
  const RegionFile region_;
  std::vector<Sight> sights_;
  std::unique_ptr<gpu::UsageSampler> sampler_;
  gpu::CostScales cost_scales_;

  int64_t reap_again_ns_ = 0;              // not before
  std::map<int, uint64_t> hidden_before_;  // at the last look
  ComputePairs pairs_;
  uint64_t watched_until_us_ = 0;
  int ticks_without_sample_ = 0;
  uint64_t neighbour_pct_ = 0;
  std::set<int> reported_;   // PIDs; a reused PID is reported again after it was seen gone
  std::set<int> outsiders_;  // likewise

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;     // guarded by mutex_
  bool stopped_ = false;  // likewise
  ShareFigures figures_;  // likewise
  std::thread thread_;
};

}  // namespace hami::share
