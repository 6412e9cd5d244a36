// SPDX-License-Identifier: Apache-2.0

#include "net/http_client.h"

#include <array>
#include <atomic>
#include <future>
#include <unordered_map>

#include "base/check.h"
#include "base/clock.h"
#include "net/curl_multi.h"
#include "net/http_transfer.h"
#include "net/io_thread.h"

namespace hami::net {

std::string_view HttpResponse::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

// Everything but `last_id_` belongs to the I/O thread.
class HttpClient::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(IoThread& thread, std::string user_agent)
      : thread_(thread), user_agent_(std::move(user_agent)) {}

  RequestId Start(HttpRequest request, Done done, Data data) {
    const RequestId id = ++last_id_;
    auto transfer =
        std::make_shared<HttpTransfer>(std::move(request), std::move(done), std::move(data));
    // Known at once, so that Cancel finds it; begun later, because we may be inside one of
    // libcurl's calls, where it allows no other.
    if (thread_.IsCurrent()) running_.emplace(id, Running{transfer, nullptr});
    thread_.Post([self = shared_from_this(), id, transfer, known = thread_.IsCurrent()] {
      if (!known) self->running_.emplace(id, Running{transfer, nullptr});
      self->Begin(id);
    });
    return id;
  }

  void Cancel(RequestId id) {
    if (thread_.IsCurrent()) {
      const auto found = running_.find(id);
      if (found == running_.end()) return;
      found->second.transfer->cancelled = true;
    }
    thread_.Post([self = shared_from_this(), id] { self->Drop(id); });
  }

  void Close() {
    closed_ = true;
    while (!running_.empty()) {
      const RequestId id = running_.begin()->first;
      const Running running = Take(id);
      HttpResult result{.transport = Fail(Code::kCancelled, "the client ends"),
                        .maybe_executed = running.multi != nullptr};
      if (running.multi != nullptr) running.multi->Remove(running.transfer->easy);
      Report(*running.transfer, std::move(result));
    }
    current_ = {};
    retired_.clear();
  }

 private:
  using Transfer = std::shared_ptr<HttpTransfer>;  // the task that begins it, then running_
  using Multi = std::shared_ptr<CurlMulti>;        // the pool, and its requests under way
  struct Running {
    Transfer transfer;
    Multi multi;
  };

  static void Report(HttpTransfer& transfer, HttpResult result) {
    if (!transfer.cancelled && transfer.done) transfer.done(std::move(result));
  }

  void Begin(RequestId id) {
    const auto found = running_.find(id);
    if (found == running_.end()) return;
    if (found->second.transfer->cancelled) return Drop(id);
    HttpTransfer& transfer = *found->second.transfer;
    Status prepared =
        closed_ ? Fail(Code::kCancelled, "the client ends") : transfer.Prepare(user_agent_);
    if (!prepared) {
      const Running running = Take(id);
      return Report(*running.transfer, {.transport = std::move(prepared), .maybe_executed = false});
    }
    Multi& multi = current_[static_cast<size_t>(transfer.request.pool)];
    if (multi == nullptr) multi = MakeMulti();
    found->second.multi = multi;
    ids_.emplace(transfer.easy, id);
    transfer.last_byte_ns = base::SystemClock().MonotonicNs();
    WatchSilence(id, transfer);
    multi->Add(transfer.easy);
  }

  Multi MakeMulti() {
    return std::make_shared<CurlMulti>(thread_,
                                       [this](void* easy, int code) { OnFinished(easy, code); });
  }

  void OnFinished(void* easy, int code) {
    const RequestId id = ids_.at(easy);
    const Running running = Take(id);
    HttpResult result = running.transfer->Finish(code);
    const bool is_silent = !result.transport && result.response.headers.empty() &&
                           result.transport.error().code == Code::kDeadlineExceeded;
    if (is_silent) Retire(running.multi);
    Report(*running.transfer, std::move(result));
    DropEmpty();
  }

  void Drop(RequestId id) {
    const auto found = running_.find(id);
    if (found == running_.end()) return;
    const Running running = Take(id);
    if (running.multi != nullptr) running.multi->Remove(running.transfer->easy);
    DropEmpty();
  }

  // A request under way leaves our books; libcurl still has it.
  Running Take(RequestId id) {
    const auto found = running_.find(id);
    Running running = std::move(found->second);
    running_.erase(found);
    ids_.erase(running.transfer->easy);
    thread_.Cancel(running.transfer->idle_timer);
    return running;
  }

  void WatchSilence(RequestId id, HttpTransfer& transfer) {
    const int64_t limit_ms = transfer.request.idle_timeout_ms;
    if (limit_ms <= 0) return;
    const int64_t silent_ms =
        (base::SystemClock().MonotonicNs() - transfer.last_byte_ns) / 1'000'000;
    if (silent_ms < limit_ms) {
      transfer.idle_timer = thread_.After(limit_ms - silent_ms, [this, id] { WatchSilence(id); });
      return;
    }
    const Running running = Take(id);
    running.multi->Remove(running.transfer->easy);
    Retire(running.multi);
    Report(*running.transfer,
           {.transport = Fail(Code::kDeadlineExceeded,
                              "nothing came for " + std::to_string(limit_ms) + " ms"),
            .maybe_executed = true});
    DropEmpty();
  }
  void WatchSilence(RequestId id) {
    const auto found = running_.find(id);
    if (found != running_.end()) WatchSilence(id, *found->second.transfer);
  }

  // The connections of this pool are not to be trusted: who comes next gets new ones.
  void Retire(const Multi& multi) {
    for (Multi& current : current_) {
      if (current != multi) continue;
      retired_.push_back(std::move(current));
      current = nullptr;
    }
  }

  // Later, because one of them may be what is calling us.
  void DropEmpty() {
    if (retired_.empty()) return;
    thread_.Post([self = shared_from_this()] {
      std::erase_if(self->retired_, [](const Multi& multi) { return multi->size() == 0; });
    });
  }

  IoThread& thread_;
  const std::string user_agent_;
  std::atomic<RequestId> last_id_{0};

  std::unordered_map<RequestId, Running> running_;
  std::unordered_map<void*, RequestId> ids_;  // of libcurl's handles
  std::array<Multi, 2> current_;
  std::vector<Multi> retired_;
  bool closed_ = false;
};

HttpClient::HttpClient(IoThread& thread, std::string user_agent)
    : thread_(thread), impl_(std::make_shared<Impl>(thread, std::move(user_agent))) {}

HttpClient::~HttpClient() {
  CHECK(!thread_.IsCurrent());
  std::promise<void> closed;
  thread_.Post([this, &closed] {
    impl_->Close();
    closed.set_value();
  });
  closed.get_future().wait();
}

HttpClient::RequestId HttpClient::Start(HttpRequest request, Done done, Data data) {
  return impl_->Start(std::move(request), std::move(done), std::move(data));
}

void HttpClient::Cancel(RequestId id) { impl_->Cancel(id); }

}  // namespace hami::net
