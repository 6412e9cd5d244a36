// SPDX-License-Identifier: Apache-2.0
//
// Sends spans to a collector: OTLP over HTTP, as JSON (opentelemetry-proto, trace/v1). Nobody waits
// for it and nothing fails by it: what cannot be sent is dropped and counted.
//
//   trace::Tracer tracer({.endpoint = "http://collector:4318/v1/traces", .service = "hami-..."});
//   trace::Span span = tracer.Begin("filter", parent);
//   span.attributes["k8s.pod.name"] = name;
//   tracer.End(std::move(span), "");
//
// Any thread.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "trace/traceparent.h"

namespace hami::trace {

struct Span {
  Context context;
  std::string parent_id;  // empty: the root of its trace
  std::string name;
  int64_t begun_ns = 0;  // wall
  int64_t ended_ns = 0;
  std::map<std::string, std::string> attributes;
  std::string error;  // empty: ok
};

// The body of an export.
std::string WriteSpans(std::string_view service, const std::vector<Span>& spans);

struct TracerOptions {
  std::string endpoint;  // URL with its path
  std::string service;
  int64_t interval_ms = 1'000;
  size_t max_batch = 256;
  size_t max_waiting = 4'096;  // spans; further ones are dropped
};

struct TracerStats {
  uint64_t sent = 0;
  uint64_t dropped = 0;
};

class Tracer {
 public:
  // The clock outlives it.
  Tracer(TracerOptions options, const base::Clock& clock);
  ~Tracer();  // sends what waits, for a moment
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  Span Begin(std::string name, const std::optional<Context>& parent);
  void End(Span span, std::string error);

  TracerStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hami::trace
