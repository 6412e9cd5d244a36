// SPDX-License-Identifier: Apache-2.0
//
// What the extender counts. Names are a contract (docs/reference/metrics.md). Any thread.

#pragma once

#include <string_view>

#include "metrics/metrics.h"

namespace hami::extender {

class ExtenderMetrics {
 public:
  explicit ExtenderMetrics(metrics::Registry& registry);

  // `verb`: filter, prioritize, preempt, bind, dry_run. `result`: placed, nothing, passed, error,
  // ...
  void NoteCall(std::string_view verb, std::string_view result, double seconds);
  void NoteBind(std::string_view protocol) { binds_.With({std::string(protocol)}).Add(); }
  void NoteDrift(double drift, double behind) {
    drift_.With({}).Set(drift);
    behind_.With({}).Set(behind);
  }
  void NoteReconcile(bool ok) { reconciles_.With({ok ? "ok" : "failed"}).Add(); }
  void NoteWake(std::string_view result) { wakes_.With({std::string(result)}).Add(); }
  void NotePreemption(std::string_view result) { preemptions_.With({std::string(result)}).Add(); }
  // `result`: released, conflict, failed.
  void NoteLeaseRelease(std::string_view result) { releases_.With({std::string(result)}).Add(); }
  void NoteVictims(double count) { victims_.With({}).Add(count); }
  void NoteSearchGivenUp() { given_up_.With({}).Add(); }

 private:
  metrics::Family<metrics::Histogram>& seconds_;
  metrics::Family<metrics::Counter>& calls_;
  metrics::Family<metrics::Counter>& binds_;
  metrics::Family<metrics::Gauge>& drift_;
  metrics::Family<metrics::Gauge>& behind_;
  metrics::Family<metrics::Counter>& reconciles_;
  metrics::Family<metrics::Counter>& wakes_;
  metrics::Family<metrics::Counter>& preemptions_;
  metrics::Family<metrics::Counter>& victims_;
  metrics::Family<metrics::Counter>& given_up_;
  metrics::Family<metrics::Counter>& releases_;
};

}  // namespace hami::extender
