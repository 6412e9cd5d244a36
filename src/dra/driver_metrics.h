// SPDX-License-Identifier: Apache-2.0
//
// What hami-dra-driver counts, and its page: /metrics, /healthz, /readyz. Names are a contract
// (docs/reference/metrics.md). Any thread.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dra/claim_keeper.h"
#include "dra/slice_publisher.h"
#include "metrics/metrics.h"
#include "net/http_server.h"

namespace hami::dra {

// What is asked at each scrape.
struct DriverFigures {
  bool driver_found = false;
  bool registered = false;
  size_t gpus = 0;
  uint64_t escapes = 0;
  uint64_t outsiders = 0;
  std::vector<ClaimGrant> claims;
  PublisherStats publisher;
};

class DriverMetrics {
 public:
  explicit DriverMetrics(std::function<DriverFigures()> figures);

  // `operation`: "prepare" or "unprepare". The cause of an error is its code.
  void NoteOperation(std::string_view operation, double seconds, const Status& result);
  void NoteSweep(const SweepReport& report);
  void NoteInactive() { inactive_.With({}).Add(); }

  std::string Text() const { return registry_.Text(); }

 private:
  void AddFigures();

  metrics::Registry registry_;
  const std::function<DriverFigures()> figures_;
  metrics::Family<metrics::Histogram>& seconds_;
  metrics::Family<metrics::Counter>& errors_;
  metrics::Family<metrics::Counter>& swept_;
  metrics::Family<metrics::Counter>& inactive_;
};

// "" if ready, else what is missing.
using Readiness = std::function<std::string()>;

// `address`: "[HOST]:PORT", port 0 for any. `alive`: the process still does its work.
Result<std::unique_ptr<net::HttpServer>> ServePage(const std::string& address,
                                                   const DriverMetrics& metrics,
                                                   std::function<bool()> alive, Readiness ready);

}  // namespace hami::dra
