// SPDX-License-Identifier: Apache-2.0
//
// Binding towards nodes whose plugin is HAMi's, a degraded mode: the plugin finds its pod by a lock
// on the node or by listing, so one pod at a time can start there, and a decision costs three
// writes and more (contract hami-control-plane.md 1.9 and 2.3).
//
//   1. lock the node: an annotation, written with the node's resourceVersion
//   2. patch the pod as it was read, if it is on no node: the decision, the label, bind-phase
//      "allocating", bind-time
//   3. POST the Binding; the plugin gives the lock back when the containers have their devices
//
// What fails in 2 or 3 is taken back, unless the pod is bound by then: whoever did that wrote what
// stands there. Waits for answers; any thread but the client's.

#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "extender/binder.h"
#include "kube/client.h"
#include "vendor/registry.h"

namespace hami::extender {

void SleepMs(int64_t ms);

struct HamiProtocolOptions {
  int64_t lock_timeout_ms = 300'000;  // after which a lock is nobody's
  int64_t group_retry_ms = 28'000;    // how long pods of a PodGroup wait for one; 0: not at all
  std::function<void(int64_t ms)> sleep = SleepMs;  // between tries
};

class HamiProtocol {
 public:
  // What is given outlives it.
  HamiProtocol(const HamiProtocolOptions& options, const vendor::Registry& registry,
               kube::Client& client, Binder& binder, const base::Clock& clock)
      : options_(options), registry_(registry), client_(client), binder_(binder), clock_(clock) {}

  // `time_left_ms` says how long writing is still allowed; it is asked before each step.
  BindAnswer Bind(const Reservation& reservation, const std::function<int64_t()>& time_left_ms);

 private:
  std::set<std::string> LockKeys(const Reservation& reservation) const;
  Status TakeLocks(const Reservation& reservation, const std::set<std::string>& keys,
                   const std::function<int64_t()>& time_left_ms);
  Status TakeLock(const Reservation& reservation, const std::string& key);
  Status TryLock(const Reservation& reservation, const std::string& key);
  Status MayTake(const Reservation& reservation, const std::string& key, const std::string& value);
  bool OwnerIsGone(const std::string& name_space, const std::string& name);
  void ReleaseLock(const Reservation& reservation, const std::string& key);
  void ReleaseLocks(const Reservation& reservation, const std::set<std::string>& keys);
  std::string PodPatch(const Reservation& reservation, const std::string& version,
                       bool take_back) const;
  Status PatchPod(const Reservation& reservation, const std::function<int64_t()>& time_left_ms);
  Status TakeBack(const Reservation& reservation);

  const HamiProtocolOptions options_;
  const vendor::Registry& registry_;
  kube::Client& client_;
  Binder& binder_;
  const base::Clock& clock_;
};

}  // namespace hami::extender
