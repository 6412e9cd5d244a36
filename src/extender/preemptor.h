// SPDX-License-Identifier: Apache-2.0
//
// Makes room for pods of higher priority. kube-scheduler does not do it for resources that it
// ignores, so the leader does: it chooses victims (victims.h), asks the API to evict them, which
// guards PodDisruptionBudgets once more, nominates the node, and holds the room until they are
// gone. One thread; a pod is looked at once per refusal, and again after a while where the API did
// not let it be done, or does not show yet who could leave.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "domain/label_expression.h"
#include "extender/cluster_state.h"
#include "extender/extender_metrics.h"
#include "extender/leadership.h"
#include "extender/victims.h"
#include "json/value.h"
#include "kube/client.h"
#include "kube/event_recorder.h"

namespace hami::extender {

// What is known of one PodDisruptionBudget (policy/v1).
struct Budget {
  std::string namespace_name;
  std::string name;
  bool selects_all = false;                   // an empty selector: all pods of the namespace
  std::map<std::string, std::string> labels;  // matchLabels
  std::vector<domain::LabelExpression> expressions;
  int64_t allowed = 0;  // status.disruptionsAllowed

  bool Selects(const std::string& pod_namespace,
               const std::map<std::string, std::string>& pod_labels) const;
};

// kInvalidArgument: it is none. A selector that cannot be read selects all, to be on the safe side.
Result<Budget> ReadBudget(json::Value object);

struct PreemptorOptions {
  // Nodes on which victims were found, after which the search ends: more are seldom better.
  size_t enough_nodes = 100;
  // Before it is tried again; twice as long each time, at most 60 times as long.
  int64_t retry_ms = 1'000;
};

class Preemptor {
 public:
  // What is given outlives it.
  Preemptor(const PreemptorOptions& options, const vendor::Registry& registry, kube::Client& client,
            ClusterState& state, const Leadership& leadership, kube::EventRecorder& events,
            ExtenderMetrics& metrics);
  ~Preemptor();
  Preemptor(const Preemptor&) = delete;
  Preemptor& operator=(const Preemptor&) = delete;

  // A pod that fits on none of these nodes. Returns at once.
  struct Ask {
    PodEntry pod;
    placement::Request request;
    std::vector<std::string> nodes;
  };
  void Consider(Ask ask);
  // kube-scheduler makes room for this pod by itself: no victims of ours until it is refused again.
  void Withdraw(const std::string& uid);

 private:
  using SteadyClock = std::chrono::steady_clock;
  struct Entry {
    Ask ask;
    SteadyClock::time_point due;
    int tries = 0;
  };

  void Run();
  // True: not now, but perhaps later.
  bool Handle(const Ask& ask);
  bool IsWithdrawn();
  // `unsettled`: somebody of lower priority is about to be bound to one of the nodes.
  std::optional<VictimChoice> Choose(const Ask& ask, const std::vector<Budget>& budgets,
                                     bool* unsettled) const;
  Result<std::vector<Budget>> ReadBudgets();
  Status Evict(const Candidate& victim, bool dry_run);
  void TellNominated(const Ask& ask, const std::string& node);

  const PreemptorOptions options_;
  const vendor::Registry& registry_;
  kube::Client& client_;
  ClusterState& state_;
  const Leadership& leadership_;
  kube::EventRecorder& events_;
  ExtenderMetrics& metrics_;
  std::mutex mutex_;
  std::condition_variable signal_;
  std::map<std::string, Entry> entries_;  // by uid; not who is being looked at
  std::string looked_at_;                 // uid; empty: nobody is
  bool withdrawn_ = false;                // who is being looked at
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hami::extender
