// SPDX-License-Identifier: Apache-2.0

#include "kube/client_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "kube/retry.h"

namespace hami::kube {
namespace {

constexpr net::BackoffOptions kRetryBackoff{.first_ms = 100, .max_ms = 3'000};

int64_t NowMs() { return base::SystemClock().MonotonicNs() / 1'000'000; }

bool IsRead(Verb verb) { return verb == Verb::kGet || verb == Verb::kList; }

std::string_view MethodOf(Verb verb) {
  switch (verb) {
    case Verb::kCreate:
      return "POST";
    case Verb::kUpdate:
      return "PUT";
    case Verb::kPatch:
      return "PATCH";
    case Verb::kDelete:
      return "DELETE";
    default:
      return "GET";
  }
}

ApiFailure FailureOf(const net::HttpResult& result) {
  if (!result.transport) return {result.transport.error(), 0, std::nullopt};
  const net::HttpResponse& response = result.response;
  return FailureOfAnswer(response.status, response.Header("content-type"), response.body,
                         response.Header("retry-after"));
}

}  // namespace

struct Client::Impl::Call {
  CallId id = 0;
  ApiRequest request;
  Done done;
  Data data;  // of a stream, like stream_done
  StreamDone stream_done;
  bool is_stream = false;

  int64_t deadline_ms = 0;
  int attempts = 0;
  bool renewed = false;  // credentials were refused once
  net::Backoff backoff;
  net::HttpClient::RequestId http_id = 0;
  net::IoThread::TimerId timer = 0;
};

Client::Impl::Impl(ClusterConfig config, ClientOptions options)
    : config_(std::move(config)),
      options_(std::move(options)),
      random_(net::SystemRandom()),
      credentials_(config_, base::SystemClock()),
      thread_(std::make_unique<net::IoThread>("hami-kube")),
      http_(std::make_unique<net::HttpClient>(*thread_, options_.user_agent)) {}

Client::CallId Client::Impl::Add(const CallPtr& call) {
  call->id = ++last_id_;
  // From a handler: known at once, so that Cancel finds it, but begun later, so that `done` is
  // never called before this returns.
  const bool known = thread_->IsCurrent();
  if (known) calls_.emplace(call->id, call);
  thread_->Post([self = shared_from_this(), call, known] {
    if (!known) self->calls_.emplace(call->id, call);
    if (self->calls_.contains(call->id)) self->Try(call);
  });
  return call->id;
}

Client::CallId Client::Impl::Start(ApiRequest request, Done done) {
  auto call = std::make_shared<Call>(Call{.request = std::move(request),
                                          .done = std::move(done),
                                          .backoff = net::Backoff(kRetryBackoff, random_)});
  call->deadline_ms = NowMs() + call->request.timeout_ms;
  return Add(call);
}

Client::CallId Client::Impl::Stream(ApiRequest request, Data data, StreamDone done) {
  ++streams_;
  return Add(std::make_shared<Call>(Call{.request = std::move(request),
                                         .data = std::move(data),
                                         .stream_done = std::move(done),
                                         .is_stream = true,
                                         .backoff = net::Backoff(kRetryBackoff, random_)}));
}

void Client::Impl::Cancel(CallId id) {
  if (!thread_->IsCurrent()) {
    thread_->Post([self = shared_from_this(), id] { self->Cancel(id); });
    return;
  }
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const CallPtr call = std::move(found->second);
  calls_.erase(found);
  thread_->Cancel(call->timer);
  if (!closed_) http_->Cancel(call->http_id);
}

void Client::Impl::Close() {
  std::promise<void> closed;
  thread_->Post([this, &closed] {
    closed_ = true;  // nobody uses http_ any more
    std::vector<CallPtr> waiting;
    for (const auto& [id, call] : calls_) {
      if (call->timer != 0) waiting.push_back(call);
    }
    for (const CallPtr& call : waiting) {
      thread_->Cancel(call->timer);
      Finish(call, Fail(Code::kCancelled, "the client ends"));
    }
    closed.set_value();
  });
  closed.get_future().wait();
  if (plugin_.joinable()) plugin_.join();  // whoever waited for it is told by closed_
  http_.reset();                           // every request under way ends with kCancelled
  thread_.reset();
}

Result<net::HttpRequest> Client::Impl::Prepare(const Call& call) {
  ASSIGN_OR_RETURN(Identity identity, credentials_.Current());
  const ApiRequest& request = call.request;
  net::HttpRequest http;
  http.method = MethodOf(request.verb);
  http.url = config_.server + Target(request);
  http.headers.emplace_back("Accept", request.accept);
  if (!identity.authorization.empty()) {
    http.headers.emplace_back("Authorization", identity.authorization);
  }
  if (!config_.impersonate_user.empty()) {
    http.headers.emplace_back("Impersonate-User", config_.impersonate_user);
  }
  for (const std::string& group : config_.impersonate_groups) {
    http.headers.emplace_back("Impersonate-Group", group);
  }
  if (!request.content_type.empty()) {
    http.headers.emplace_back("Content-Type", request.content_type);
  }
  http.body = request.body;
  http.tls = std::move(identity.tls);
  http.proxy = config_.proxy_url;
  http.repeatable = request.repeatable;
  http.max_body_bytes = request.max_body_bytes;
  if (call.is_stream) {
    http.pool = net::HttpPool::kStreams;
    http.timeout_ms = 0;
    http.idle_timeout_ms = options_.watch_silence_ms;
  } else {
    // A list may have hundreds of megabytes: nothing small waits behind it.
    if (request.verb == Verb::kList) http.pool = net::HttpPool::kStreams;
    http.timeout_ms = std::max<int64_t>(call.deadline_ms - NowMs(), 1);
    http.idle_timeout_ms =
        IsRead(request.verb) ? options_.read_silence_ms : options_.write_silence_ms;
  }
  return http;
}

void Client::Impl::Try(const CallPtr& call) {
  if (closed_) return Finish(call, Fail(Code::kCancelled, "the client ends"));
  call->http_id = 0;
  if (credentials_.NeedsPlugin()) return WaitForPlugin(call);
  Result<net::HttpRequest> http = Prepare(*call);
  if (!http) return Finish(call, Fail(std::move(http).error()));
  ++call->attempts;
  if (!call->is_stream) ++requests_;
  call->http_id = http_->Start(
      std::move(*http),
      [self = shared_from_this(), call](net::HttpResult result) {
        self->OnAnswer(call, std::move(result));
      },
      call->data);
}

void Client::Impl::WaitForPlugin(const CallPtr& call) {
  want_plugin_.push_back(call);
  if (want_plugin_.size() > 1) return;
  if (plugin_.joinable()) plugin_.join();  // it has posted its result, and ends
  plugin_ = std::thread([this] {           // Close joins it
    Status status = credentials_.RunPlugin();
    thread_->Post([self = shared_from_this(), status = std::move(status)] {
      for (const CallPtr& waiting : std::exchange(self->want_plugin_, {})) {
        if (!self->calls_.contains(waiting->id)) continue;
        if (status) {
          self->Try(waiting);
        } else {
          self->Finish(waiting, Fail(status.error()));
        }
      }
    });
  });
}

void Client::Impl::OnAnswer(const CallPtr& call, net::HttpResult result) {
  const int status = result.response.status;
  if (result.transport && status >= 200 && status < 300) {
    return Finish(call, std::move(result.response.body));
  }
  ApiFailure failure = FailureOf(result);
  if (failure.http_status == 401 && credentials_.Renew() && !call->renewed && !call->is_stream) {
    call->renewed = true;
    return Try(call);
  }
  if (call->is_stream) return FinishStream(call, std::move(failure));

  const Outcome outcome{failure.http_status, failure.error.code, result.maybe_executed,
                        failure.retry_after_ms};
  const auto delay_ms =
      RetryDelayMs(outcome, call->request.repeatable, call->attempts, call->deadline_ms - NowMs(),
                   call->backoff.NextMs(base::SystemClock().MonotonicNs()));
  if (!delay_ms) return Finish(call, Fail(std::move(failure.error)));
  if (closed_) return Finish(call, Fail(Code::kCancelled, "the client ends"));
  ++retries_;
  LOG_DEBUG("request to the API server is tried again", Field("verb", VerbName(call->request.verb)),
            Field("path", call->request.path), Field("attempt", call->attempts),
            Field("delay_ms", *delay_ms), Field("error", failure.error));
  call->timer = thread_->After(*delay_ms, [self = shared_from_this(), call] {
    call->timer = 0;
    self->Try(call);
  });
}

void Client::Impl::Finish(const CallPtr& call, Result<std::string> result) {
  if (call->is_stream) {
    return FinishStream(
        call, result ? std::nullopt : std::optional(ApiFailure{result.error(), 0, std::nullopt}));
  }
  if (calls_.erase(call->id) == 0) return;
  if (!result) {
    ++failures_;
    result = Fail(std::move(result).error().Wrap(
        fmt::format("{} {}", VerbName(call->request.verb), call->request.path)));
  }
  call->done(std::move(result));
}

void Client::Impl::FinishStream(const CallPtr& call, std::optional<ApiFailure> failure) {
  if (calls_.erase(call->id) == 0) return;
  call->stream_done(std::move(failure));
}

ClientStats Client::Impl::stats() const {
  return {.requests = requests_, .retries = retries_, .failures = failures_, .streams = streams_};
}

}  // namespace hami::kube
