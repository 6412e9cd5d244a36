// SPDX-License-Identifier: Apache-2.0
//
// Who leads, as this replica sees it: watches the Lease of the kube-scheduler beside it and, when
// it comes here, has all pods read before the first decision (leader_gate.h). Without election it
// leads from its first complete view on. Any thread.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "extender/leader_gate.h"
#include "extender/leadership.h"
#include "kube/client.h"
#include "kube/reflector.h"

namespace hami::extender {

struct LeaderOptions {
  bool elect = false;
  std::string lease_namespace;
  std::string lease_name;
  std::string host;  // the name by which the kube-scheduler beside us takes the Lease
};

class Leader : public Leadership, public kube::Watcher<kube::Lease> {
 public:
  // The clock outlives it.
  Leader(const LeaderOptions& options, const base::Clock& clock)
      : options_(options), clock_(clock), gate_(options.host) {}

  const LeaderOptions& options() const { return options_; }

  // Watches the Lease, if there is an election. The client outlives it.
  void Start(kube::Client& client);
  void Stop() { watch_.reset(); }

  // For a thread that may wait, often: if the Lease came here and its holder before has no time
  // left, calls `read_all` and leads if that succeeds. False: it failed, try again soon.
  bool CatchUp(const std::function<Status()>& read_all);
  // The first complete view is there.
  void NoteSynced();

  int64_t LeftMs() const override;
  int64_t AwaitMs() const override;
  std::string Describe() const override;

  struct LeaseAge {
    int64_t duration_ms = 0;  // 0: there is no Lease
    int64_t silent_ms = 0;    // since its last renewal that we heard of; 0: nobody holds it
  };
  LeaseAge Age() const;

  void OnReplace(std::vector<std::shared_ptr<const kube::Lease>> all, uint64_t version) override;
  void OnUpsert(std::shared_ptr<const kube::Lease> now) override;
  void OnDelete(const kube::ObjectKey& key, uint64_t version) override;

 private:
  void Observe(const std::optional<kube::Lease>& lease, LeaderGate::After after);
  // With mutex_ held.
  int64_t LeftNowMs() const;

  const LeaderOptions options_;
  const base::Clock& clock_;
  std::unique_ptr<kube::Reflector<kube::Lease>> watch_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  LeaderGate gate_;
  bool synced_ = false;
};

}  // namespace hami::extender
