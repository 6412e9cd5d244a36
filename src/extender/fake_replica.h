// SPDX-License-Identifier: Apache-2.0
//
// For tests: one replica of hami-scheduler, the real code without the threads that move it. What
// its watches say, and when, and when it looks after itself, the test decides; its requests go to
// a FakeApi. One thread at a time; calls may nest within a request (fake_history.h).

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>

#include "base/clock.h"
#include "extender/binder.h"
#include "extender/cluster_state.h"
#include "extender/extender.h"
#include "extender/extender_metrics.h"
#include "extender/fake_api.h"
#include "extender/hami_protocol.h"
#include "extender/leader.h"
#include "extender/leadership.h"
#include "kube/client.h"
#include "kube/event_recorder.h"
#include "metrics/metrics.h"
#include "vendor/registry.h"

namespace hami::extender {

inline constexpr char kHistoryNamespace[] = "hami-system";
inline constexpr char kHistoryLease[] = "hami-scheduler";
inline constexpr char kHistoryLeasePath[] =
    "/apis/coordination.k8s.io/v1/namespaces/hami-system/leases/hami-scheduler";

enum class Feed : uint8_t { kPod, kNode, kLease };
inline constexpr Feed kFeeds[] = {Feed::kPod, Feed::kNode, Feed::kLease};

class FakeReplica {
 public:
  // `name` stands in the user agent of its requests. What is given outlives it. It begins with
  // lists of everything, as a program that was just started.
  FakeReplica(FakeApi& api, const vendor::Registry& registry, const base::Clock& clock,
              const std::string& host, const std::string& name);

  // The next event of a watch. False: there is none.
  bool Deliver(Feed feed);
  void DeliverAll();
  // The watch was cut, and its version is gone.
  void Relist(Feed feed);

  // What its keeper does every 50 ms.
  void Tick();
  // Compares all pods with what is held; `patience` comes before, in which the watch says
  // everything. How many differ; none: the list was refused.
  std::optional<size_t> Drift(const std::function<void()>& patience);

  // Of the last answer to somebody who was about to write: no write may land later.
  int64_t last_left_ms() const { return fence_.last_ms; }
  int64_t LeftMs() const { return leader_.LeftMs(); }
  Extender& extender() { return extender_; }
  ClusterState& state() { return state_; }
  const std::string& name() const { return name_; }

 private:
  struct Fence : Leadership {
    explicit Fence(const Leadership& leadership) : inner(leadership) {}
    int64_t LeftMs() const override { return last_ms = inner.LeftMs(); }
    std::string Describe() const override { return inner.Describe(); }
    const Leadership& inner;
    mutable int64_t last_ms = 0;
  };

  void Apply(Feed feed, const FakeApi::Json& event);

  FakeApi& api_;
  const vendor::Registry& registry_;
  const std::string name_;
  std::array<uint64_t, std::size(kFeeds)> seen_{};  // versions
  metrics::Registry metrics_registry_;
  ExtenderMetrics metrics_{metrics_registry_};
  kube::Client client_;
  kube::EventRecorder events_;
  ClusterState state_;
  Leader leader_;
  Fence fence_{leader_};
  Binder binder_{client_};
  HamiProtocol hami_;
  Extender extender_;
};

}  // namespace hami::extender
