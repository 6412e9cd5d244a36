// SPDX-License-Identifier: Apache-2.0
//
// Looks for the node's GPU driver and keeps looking: it may be installed later, upgraded, or go.
// Everything is by NVML, opened at run time below a configurable root.
//
// A thread of its own, because a call into a sick driver can hang.

#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "dra/claim_keeper.h"
#include "gpu/driver_files.h"
#include "gpu/inventory.h"
#include "gpu/nvml.h"

namespace hami::dra {

struct DriverWatchOptions {
  gpu::NodeFolder root;  // of the driver, as we see it and as the node does
  gpu::NodeFolder devices = {.seen_at = "/dev", .host_path = "/dev"};
  std::string sysfs = "/sys";
  std::string context_cost_cache;  // folder
  int poll_ms = 5'000;
};

// The driver at one moment.
struct DriverState {
  gpu::Inventory inventory;
  std::shared_ptr<const NodeView> view;
  std::shared_ptr<const gpu::Nvml> nvml;  // used by agents of shares for as long as they live
  std::string sysfs;                      // that describes its devices: a simulation brings its own
};

class DriverWatch {
 public:
  // Called on the watch's thread: with a state when the driver came or changed, with an error (and
  // the last thing that was wrong) when it went or never was there. Only changes are told.
  using OnChange = std::function<void(const Result<DriverState>& state)>;

  // `on_replaced`: another driver has taken the place of the one that is loaded. Only a new process
  // can use it.
  DriverWatch(DriverWatchOptions options, OnChange on_change, std::function<void()> on_replaced);
  // Waits for the thread, unless it hangs in the driver: then the process has to end without
  // destructors, and false was returned by Stop.
  ~DriverWatch();
  bool Stop();

 private:
  void Run();
  void Look();
  Result<DriverState> Read();
  uint64_t MeasureContext(const gpu::Device& device) const;

  const DriverWatchOptions options_;
  const OnChange on_change_;
  const std::function<void()> on_replaced_;

  std::shared_ptr<const gpu::Nvml> nvml_;
  std::string library_path_;                       // as it was loaded, first of all
  std::string library_stamp_;                      // tells one library file from its successor
  std::string told_;                               // what was told last, as text
  std::map<std::string, uint64_t> context_bytes_;  // by UUID

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

// `hami-dra-driver context-cost`: measures in a process of its own, because it forks. Prints bytes.
int ContextCostMain(const std::string& root, const std::string& uuid, const std::string& cache);

}  // namespace hami::dra
