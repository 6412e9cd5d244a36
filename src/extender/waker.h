// SPDX-License-Identifier: Apache-2.0
//
// Hands waiting pods back to kube-scheduler when room comes free. Whatever changes in the API wakes
// them without us, but it asks at once, before our own watch has heard of the change, and of what
// is only in memory it hears nothing: a reservation that ran out, a bind that failed. So whoever
// still waits a moment after room came free, and fits, gets its status condition kRoomCondition
// written anew: of all that could be done to a pod it is the least that wakes it (docs/adr/0019).
//
// One thread. Only the leader wakes.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "extender/cluster_state.h"
#include "extender/extender_metrics.h"
#include "extender/leadership.h"
#include "kube/client.h"

namespace hami::extender {

inline constexpr char kRoomCondition[] = "hami.io/RoomFound";

struct WakerOptions {
  int64_t patience_ms = 150;  // in which kube-scheduler may come by itself
};

// The body of the patch of pods/status, of kind application/strategic-merge-patch+json.
std::string WakePatch(const WaitingPod& pod, int64_t wall_ns);

class Waker {
 public:
  // What is given outlives it.
  Waker(const WakerOptions& options, kube::Client& client, ClusterState& state,
        const Leadership& leadership, ExtenderMetrics& metrics, const base::Clock& clock);
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

 private:
  void Run();
  void WakeNow();

  const WakerOptions options_;
  kube::Client& client_;
  ClusterState& state_;
  const Leadership& leadership_;
  ExtenderMetrics& metrics_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::condition_variable signal_;
  bool room_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hami::extender
