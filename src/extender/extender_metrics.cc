// SPDX-License-Identifier: Apache-2.0

#include "extender/extender_metrics.h"

#include <string>
#include <vector>

namespace hami::extender {
namespace {

// A filter takes microseconds, a bind what the API server takes.
const std::vector<double>& Seconds() {
  static const std::vector<double> bounds = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005,
                                             0.01,   0.02,   0.05,   0.1,   0.25,  0.5,
                                             1,      2.5,    5,      10,    30};
  return bounds;
}

}  // namespace

ExtenderMetrics::ExtenderMetrics(metrics::Registry& registry)
    : seconds_(registry.AddHistogram("hami_scheduler_extender_seconds",
                                     "How long kube-scheduler's calls took.", Seconds(), {"verb"})),
      calls_(registry.AddCounter("hami_scheduler_extender_calls_total",
                                 "Calls of kube-scheduler, by what came of them.",
                                 {"verb", "result"})),
      binds_(registry.AddCounter("hami_scheduler_binds_total",
                                 "Pods bound, by the protocol of their node: binding (ours, one "
                                 "write), hami (patch, lock, bind), none (no devices).",
                                 {"protocol"})),
      drift_(registry.AddGauge("hami_scheduler_drift_pods",
                               "Pods whose devices were held otherwise than the API says, at the "
                               "last reconciliation. Must be 0.")),
      behind_(registry.AddGauge("hami_scheduler_watch_behind_pods",
                                "Pods of which a reconciliation read what the watch had not said "
                                "yet, at the last one.")),
      reconciles_(registry.AddCounter("hami_scheduler_reconciliations_total",
                                      "Comparisons of all pods with what is held.", {"result"})),
      wakes_(registry.AddCounter("hami_scheduler_wakes_total",
                                 "Waiting pods that were handed back to kube-scheduler because "
                                 "room came free.",
                                 {"result"})),
      preemptions_(registry.AddCounter("hami_scheduler_preemptions_total",
                                       "Attempts to make room for a pod by evicting others.",
                                       {"result"})),
      victims_(registry.AddCounter("hami_scheduler_preemption_victims_total",
                                   "Pods that were told to leave for others.")),
      given_up_(registry.AddCounter("hami_scheduler_searches_given_up_total",
                                    "Decisions for pods of several containers that ran out of "
                                    "steps: a node that fits may have been missed.")),
      releases_(registry.AddCounter("hami_scheduler_lease_releases_total",
                                    "Tries to release the Lease of a leader that was silent while "
                                    "the API server answered.",
                                    {"result"})) {
  for (const char* verb : {"filter", "prioritize", "preempt", "bind"}) seconds_.With({verb});
  for (const char* protocol : {"binding", "hami", "none"}) binds_.With({protocol});
  for (const char* result : {"released", "conflict", "failed"}) releases_.With({result});
  drift_.With({});
  behind_.With({});
  victims_.With({});
  given_up_.With({});
}

void ExtenderMetrics::NoteCall(std::string_view verb, std::string_view result, double seconds) {
  seconds_.With({std::string(verb)}).Observe(seconds);
  calls_.With({std::string(verb), std::string(result)}).Add();
}

}  // namespace hami::extender
