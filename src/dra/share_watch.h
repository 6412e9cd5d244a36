// SPDX-License-Identifier: Apache-2.0
//
// The node's side of the shares of prepared claims while containers use them: tells processes their
// host PIDs (agent.sock), and has an agent for each slice that compares what its processes hold and
// compute with the driver's own figures (share/share_agent.h). Containers run on without it: their
// limits are kept by the library; what is lost is the correction from outside.
//
// Thread-safe.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "dra/claim_keeper.h"
#include "dra/claim_shares.h"
#include "gpu/nvml.h"
#include "share/share_agent.h"

namespace hami::dra {

class ShareWatch : public ClaimObserver {
 public:
  // `report`: told once for each process that goes round its claim's limit, from another thread.
  // `report_outsider`: for each process that uses a claim's GPU without the library.
  using ReportEscape = std::function<void(const ClaimRef&, const share::Escape&)>;
  using ReportOutsider = std::function<void(const ClaimRef&, const share::Outsider&)>;
  ShareWatch(std::string share_root, ReportEscape report, ReportOutsider report_outsider);
  ~ShareWatch() override;
  ShareWatch(const ShareWatch&) = delete;
  ShareWatch& operator=(const ShareWatch&) = delete;

  // Null: the driver is gone; agents end, sockets stay.
  void SetDriver(std::shared_ptr<const gpu::Nvml> nvml);

  void OnKept(const ClaimGrant& grant) override;
  void OnGone(const std::string& uid) override;

  // Processes that were seen to hold more than their slice, since the start.
  uint64_t escapes() const { return escapes_; }
  // Processes for which no limit was active, since the start.
  uint64_t outsiders() const { return outsiders_; }

 private:
  struct Slice {
    GrantedSlice grant;
    std::string folder;
    std::string mount_point;
    uint64_t region_inode = 0;
    base::Fd listener;
    std::shared_ptr<const gpu::Nvml> nvml;  // with the agent, which uses it
    std::unique_ptr<share::ShareAgent> agent;
    bool refused = false;  // an agent could not be started with this driver
  };
  struct Claim {
    ClaimRef ref;
    std::vector<Slice> slices;
  };

  static void EndAgent(Slice* slice);
  void Wake();
  void Answer();
  void StartAgents();
  bool StartOne(std::unique_lock<std::mutex>* lock);
  Result<std::unique_ptr<share::ShareAgent>> MakeAgent(
      const ClaimRef& claim, const Slice& slice, const std::shared_ptr<const gpu::Nvml>& nvml);

  const ShareRoot root_;
  const ReportEscape report_;
  const ReportOutsider report_outsider_;
  base::Fd wake_;
  std::atomic<uint64_t> escapes_{0};
  std::atomic<uint64_t> outsiders_{0};

  std::mutex mutex_;
  bool stop_ = false;
  std::shared_ptr<const gpu::Nvml> nvml_;
  std::map<std::string, Claim> claims_;  // by UID
  bool look_ = false;                    // some slice may want an agent
  std::condition_variable changed_;
  std::thread answers_;
  std::thread starts_;  // asking the driver takes its time, and nobody should wait for that
};

}  // namespace hami::dra
