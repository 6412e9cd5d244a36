// SPDX-License-Identifier: Apache-2.0
//
// Answers kube-scheduler: which nodes a pod fits on, how well, whom its own preemption may evict,
// and the bind. Contract hami-control-plane.md 1.1 to 1.13. Bodies in, bodies out: the HTTP status
// of all of them is 200, as HAMi's, and failures stand in `Error`. Any thread but the client's;
// Bind waits for the API.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "extender/binder.h"
#include "extender/cluster_state.h"
#include "extender/extender_metrics.h"
#include "extender/hami_protocol.h"
#include "extender/leadership.h"
#include "extender/preemptor.h"
#include "extender/victim_review.h"
#include "extender/wire.h"
#include "kube/client.h"
#include "kube/event_recorder.h"
#include "placement/request.h"
#include "trace/tracer.h"
#include "vendor/registry.h"

namespace hami::extender {

enum class NodeChoice : uint8_t {
  kExtender,   // filter answers the one node that is best, and reserves
  kScheduler,  // filter answers all that fit; kube-scheduler chooses by our priorities and its own
};

struct ExtenderOptions {
  NodeChoice node_choice = NodeChoice::kExtender;
  placement::Policy policy;         // where the pod says nothing
  bool nodes_mean_dry_run = false;  // Nodes in a filter are a simulation, as HAMi has it
  int64_t bind_timeout_ms = kLongestWriteMs;
  // For how long room may still come before victims are refused; see VictimReview.
  int64_t preempt_patience_ms = 100;
};

class Extender {
 public:
  // What is given outlives it.
  Extender(const ExtenderOptions& options, const vendor::Registry& registry,
           const base::Clock& clock, ClusterState& state, const Leadership& leadership,
           Binder& binder, HamiProtocol& hami, kube::Client& client, kube::EventRecorder& events,
           ExtenderMetrics& metrics);

  // Who makes room for pods that fit nowhere; null: nobody. Not while calls are under way.
  void SetPreemptor(Preemptor* preemptor) { preemptor_ = preemptor; }

  // Null: no traces. Not while calls are under way.
  void SetTracer(trace::Tracer* tracer) { tracer_ = tracer; }

  std::string Filter(std::string_view body);
  std::string Prioritize(std::string_view body);
  // A simulation of the whole Nodes in the body, as if they were empty (contract 1.10): all that
  // fit, all reasons. Nothing is reserved, written or counted; any replica answers.
  std::string DryRun(std::string_view body);
  // What kube-scheduler's own preemption may do: it knows CPU and memory, and not whether devices
  // come free. The nodes on which the pod fits once the victims are gone.
  std::string Preempt(std::string_view body);
  std::string Bind(std::string_view body);

 private:
  struct Ask {
    domain::Pod pod;
    placement::Request request;
  };
  Result<Ask> ReadAsk(const json::Value& pod) const;
  std::string FilterRead(const FilterArgs& args);
  std::string Simulate(const FilterArgs& args, const placement::Request& request,
                       bool only_best) const;
  std::string FilterForScheduler(const FilterArgs& args, const domain::Pod& pod,
                                 const placement::Request& request);
  std::string Choose(const FilterArgs& args, const domain::Pod& pod,
                     const placement::Request& request, const std::string& traceparent,
                     std::string* node);
  std::string Nothing(const FilterArgs& args, const domain::Pod& pod,
                      const placement::Decision& decision);
  void NoteNeeds(json::Value pod, const std::string& uid);
  void AskForRoom(const domain::Pod& pod, const placement::Request& request,
                  const placement::Decision& decision);
  Status WriteDown(const domain::Pod& pod, size_t annotation_bytes,
                   const ClusterState::Placed& placed, const std::string& traceparent);
  // A span of the pod's trace, which may begin with it; none where traces are off.
  std::optional<trace::Span> BeginSpan(const char* name, const std::string& traceparent,
                                       const kube::ObjectKey& pod);
  void EndSpan(std::optional<trace::Span> span, std::string_view node, std::string_view error);
  std::string FailFilter(const domain::Pod& pod, const std::string& error);
  Status BindNow(const BindArgs& args);
  int64_t BindTimeLeftMs() const;
  void NoteHamiNode(const std::string& node);
  Result<Reservation> ReservedFor(const BindArgs& args);
  struct FetchedPod {
    domain::Pod pod;
    size_t annotation_bytes = 0;
  };
  Result<FetchedPod> FetchPod(const BindArgs& args);

  const ExtenderOptions options_;
  const vendor::Registry& registry_;
  const base::Clock& clock_;
  ClusterState& state_;
  const Leadership& leadership_;
  Binder& binder_;
  HamiProtocol& hami_;
  kube::Client& client_;
  kube::EventRecorder& events_;
  ExtenderMetrics& metrics_;
  VictimReview victim_review_;
  Preemptor* preemptor_ = nullptr;
  trace::Tracer* tracer_ = nullptr;
};

}  // namespace hami::extender
