// SPDX-License-Identifier: Apache-2.0

#include "trace/tracer.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "base/json_writer.h"
#include "base/log.h"
#include "net/http_client.h"
#include "net/io_thread.h"

namespace hami::trace {
namespace {

constexpr int64_t kSendTimeoutMs = 5'000;
constexpr int64_t kLastSendMs = 1'000;  // when the process ends
constexpr int kServerSpan = 2;
constexpr int kStatusOk = 1;
constexpr int kStatusError = 2;

uint64_t RandomNumber() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

void WriteAttribute(std::string_view key, std::string_view value, base::JsonWriter* json) {
  json->BeginObject().Member("key", key).Key("value").BeginObject();
  json->Member("stringValue", value).EndObject().EndObject();
}

void WriteSpan(const Span& span, base::JsonWriter* json) {
  json->BeginObject();
  json->Member("traceId", span.context.trace_id).Member("spanId", span.context.span_id);
  if (!span.parent_id.empty()) json->Member("parentSpanId", span.parent_id);
  json->Member("name", span.name).Member("kind", kServerSpan);
  // 64 bit numbers are texts in protobuf's JSON.
  json->Member("startTimeUnixNano", std::to_string(span.begun_ns));
  json->Member("endTimeUnixNano", std::to_string(span.ended_ns));
  json->Key("attributes").BeginArray();
  for (const auto& [key, value] : span.attributes) WriteAttribute(key, value, json);
  json->EndArray();
  json->Key("status").BeginObject();
  json->Member("code", span.error.empty() ? kStatusOk : kStatusError);
  if (!span.error.empty()) json->Member("message", span.error);
  json->EndObject().EndObject();
}

}  // namespace

std::string WriteSpans(std::string_view service, const std::vector<Span>& spans) {
  base::JsonWriter json;
  json.BeginObject().Key("resourceSpans").BeginArray().BeginObject();
  json.Key("resource").BeginObject().Key("attributes").BeginArray();
  WriteAttribute("service.name", service, &json);
  json.EndArray().EndObject();
  json.Key("scopeSpans").BeginArray().BeginObject();
  json.Key("scope").BeginObject().Member("name", "hami").EndObject();
  json.Key("spans").BeginArray();
  for (const Span& span : spans) WriteSpan(span, &json);
  json.EndArray().EndObject().EndArray().EndObject().EndArray().EndObject();
  return std::move(json).Take();
}

class Tracer::Impl {
 public:
  Impl(TracerOptions options, const base::Clock& clock)
      : options_(std::move(options)), clock_(clock), thread_([this] { Run(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    signal_.notify_all();
    thread_.join();
  }

  int64_t WallNs() const { return clock_.WallNs(); }

  void Add(Span span) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= options_.max_waiting) {
      ++stats_.dropped;
      return;
    }
    waiting_.push_back(std::move(span));
    if (waiting_.size() >= options_.max_batch) signal_.notify_all();
  }

  TracerStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
      signal_.wait_for(lock, std::chrono::milliseconds(options_.interval_ms),
                       [this] { return stopping_ || waiting_.size() >= options_.max_batch; });
      last = stopping_;
      std::vector<Span> batch;
      while (!waiting_.empty() && batch.size() < options_.max_batch) {
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      if (batch.empty()) continue;
      lock.unlock();
      const bool sent = Send(batch, last ? kLastSendMs : kSendTimeoutMs);
      lock.lock();
      (sent ? stats_.sent : stats_.dropped) += batch.size();
    }
    stats_.dropped += waiting_.size();
  }

  bool Send(const std::vector<Span>& batch, int64_t timeout_ms) {
    net::HttpRequest request;
    request.method = "POST";
    request.url = options_.endpoint;
    request.headers = {{"Content-Type", "application/json"}};
    request.body = WriteSpans(options_.service, batch);
    request.timeout_ms = timeout_ms;
    request.max_body_bytes = 1 << 20;
    auto answer = std::make_shared<std::promise<net::HttpResult>>();  // with the handler
    client_.Start(std::move(request),
                  [answer](net::HttpResult result) { answer->set_value(std::move(result)); });
    const net::HttpResult result = answer->get_future().get();
    if (!result.transport) {
      LOG_WARN_EVERY(60'000, "traces are lost", Field("error", result.transport.error()));
      return false;
    }
    if (result.response.status / 100 == 2) return true;
    LOG_WARN_EVERY(60'000, "the collector refuses traces", Field("status", result.response.status));
    return false;
  }

  const TracerOptions options_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable signal_;
  std::deque<Span> waiting_;
  TracerStats stats_;
  bool stopping_ = false;
  net::IoThread io_{"traces"};
  net::HttpClient client_{io_, "hami"};
  std::thread thread_;  // last: it uses the rest
};

Tracer::Tracer(TracerOptions options, const base::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {}

Tracer::~Tracer() = default;

Span Tracer::Begin(std::string name, const std::optional<Context>& parent) {
  Span span;
  span.context = NewContext(parent, RandomNumber);
  if (parent) span.parent_id = parent->span_id;
  span.name = std::move(name);
  span.begun_ns = impl_->WallNs();
  return span;
}

void Tracer::End(Span span, std::string error) {
  if (!span.context.sampled) return;
  span.ended_ns = impl_->WallNs();
  span.error = std::move(error);
  impl_->Add(std::move(span));
}

TracerStats Tracer::stats() const { return impl_->stats(); }

}  // namespace hami::trace
