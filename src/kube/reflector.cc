// SPDX-License-Identifier: Apache-2.0
//
// WatchLoop: does what ListWatch says, by the client, on its I/O thread.

#include "kube/reflector.h"

#include <chrono>
#include <condition_variable>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/list_page.h"
#include "kube/protobuf_object.h"
#include "kube/watch_stream.h"
#include "net/backoff.h"
#include "net/io_thread.h"

namespace hami::kube {
namespace {

constexpr int kLogEveryMs = 30'000;

int64_t NowNs() { return base::SystemClock().MonotonicNs(); }

ApiFailure NotUnderstood(Error error) { return {std::move(error), 0, std::nullopt}; }

}  // namespace

void WarnUndecodable(const ObjectKey& key, const Error& error) {
  LOG_WARN_EVERY(kLogEveryMs, "an object of the API is left out", Field("object", key.Text()),
                 Field("error", error));
}

class WatchLoop::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Client& client, const ReflectorOptions& options, std::shared_ptr<ObjectSink> sink,
       bool want_protobuf)
      : client_(client),
        type_(options.type),
        list_options_(options.list),
        sink_(std::move(sink)),
        wants_streaming_(options.timing.streaming),
        machine_(options.timing, net::SystemRandom()),
        protobuf_(want_protobuf) {}

  void Begin() {
    client_.io_thread().Post([self = shared_from_this()] { self->Act(self->machine_.Start()); });
  }

  void Stop() {
    client_.io_thread().Post([self = shared_from_this()] {
      self->stopped_ = true;
      self->client_.Cancel(self->call_);
      self->client_.io_thread().Cancel(self->timer_);
    });
  }

  bool HasSynced() const {
    const std::lock_guard lock(mutex_);
    return synced_;
  }

  Status WaitForSync(int64_t timeout_ms) const {
    CHECK(!client_.io_thread().IsCurrent());
    std::unique_lock lock(mutex_);
    if (synced_changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                 [this] { return synced_; })) {
      return {};
    }
    return Fail(Code::kDeadlineExceeded, "no list of " + type_.plural + " within " +
                                             std::to_string(timeout_ms) + " ms" +
                                             (last_error_.empty() ? "" : ": " + last_error_));
  }

  ReflectorStats stats() const {
    return {.lists = lists_,
            .watches = watches_,
            .events = events_,
            .failures = failures_,
            .streaming_lists = streaming_lists_,
            .without_streaming = without_streaming_,
            .without_protobuf = without_protobuf_,
            .last_heard_ns = last_heard_ns_};
  }

 private:
  using Step = ListWatch::Step;

  void Act(const Step& step) {
    if (stopped_) return;
    switch (step.kind) {
      case Step::Kind::kList:
        return List(step);
      case Step::Kind::kWatch:
        return Watch(step);
      case Step::Kind::kWait:
        timer_ = client_.io_thread().After(
            step.delay_ms, [self = shared_from_this()] { self->Act(self->machine_.OnWaited()); });
    }
  }

  ApiRequest Accepting(ApiRequest request) const {
    if (protobuf_) request.accept = kAcceptProtobuf;
    return request;
  }

  void List(const Step& step) {
    if (wants_streaming_ && !machine_.IsStreaming() && !without_streaming_.exchange(true)) {
      LOG_WARN("the API server has no streaming list; listing in pages",
               Field("resource", type_.plural), Field("error", last_failure_));
    }
    if (step.is_first_page) sink_->OnListBegin();
    ListOptions options = list_options_;
    options.page_size = step.page_size;
    call_ = client_.Start(
        Accepting(ListRequest(type_, options, step.continue_token)),
        [self = shared_from_this()](Result<std::string> page) { self->OnPage(std::move(page)); });
  }

  Status OnListItem(const EncodedObject& object) {
    ASSIGN_OR_RETURN(const ObjectFacts facts, ReadObjectFacts(object));
    sink_->OnListItem(facts.key, object);
    return {};
  }

  void OnPage(Result<std::string> page) {
    if (stopped_) return;
    Result<PageFacts> facts = PageFacts();
    if (page) {
      facts = ReadListPage(&*page, &document_,
                           [this](const EncodedObject& item) { return OnListItem(item); });
      if (!facts) LeaveProtobuf(facts.error());
    } else {
      facts = Fail(std::move(page).error());
      if (RefusesForm(facts.error())) LeaveProtobuf(facts.error());
    }
    if (!facts) {
      const ApiFailure failure = NotUnderstood(std::move(facts).error());
      Note(failure);
      return Act(machine_.OnListFailed(failure, NowNs()));
    }
    last_heard_ns_ = NowNs();
    if (facts->continue_token.empty()) {
      document_ = json::Document();  // as large as a page, and not needed for hours
      OnListEnd(facts->resource_version);
    }
    Act(machine_.OnPage(facts->resource_version, facts->continue_token));
  }

  void OnListEnd(std::string_view resource_version) {
    sink_->OnListEnd(VersionNumber(resource_version));
    ++lists_;
    const std::lock_guard lock(mutex_);
    synced_ = true;
    synced_changed_.notify_all();
  }

  // The server refused protobuf, or what came could not be understood: it is not asked for again.
  // False: it was not asked for.
  bool LeaveProtobuf(const Error& error) {
    if (!std::exchange(protobuf_, false)) return false;
    without_protobuf_ = true;
    LOG_WARN("the API server has no protobuf that is understood; going on with JSON",
             Field("resource", type_.plural), Field("error", error));
    return true;
  }

  void Watch(const Step& step) {
    ++watches_;
    stream_ = WatchStream();
    watch_began_ns_ = NowNs();
    in_initial_events_ = step.is_streaming_list;
    if (in_initial_events_) sink_->OnListBegin();
    ApiRequest request =
        in_initial_events_
            ? StreamingListRequest(type_, list_options_, step.timeout_s)
            : WatchRequest(type_, list_options_, step.resource_version, step.timeout_s);
    call_ = client_.Stream(
        Accepting(std::move(request)),
        [self = shared_from_this()](std::string_view data) { self->OnData(data); },
        [self = shared_from_this()](const std::optional<ApiFailure>& failure) {
          self->OnWatchEnded(failure);
        });
  }

  void OnData(std::string_view data) {
    if (stopped_) return;
    last_heard_ns_ = NowNs();
    std::optional<ApiFailure> failure;
    const Status status =
        stream_.Feed(data, [this, &failure](EventType type, const EncodedObject& object) -> Status {
          return OnEvent(type, object, &failure);
        });
    if (status) return;
    client_.Cancel(call_);
    if (!failure) LeaveProtobuf(status.error());
    OnWatchEnded(failure ? failure : NotUnderstood(status.error()));
  }

  Status OnEvent(EventType type, const EncodedObject& object, std::optional<ApiFailure>* failure) {
    if (type == EventType::kError) {
      *failure = object.IsProtobuf() ? FailureOfProtobufStatus(object.protobuf)
                                     : FailureOfStatus(object.json);
      return Fail((*failure)->error);
    }
    ASSIGN_OR_RETURN(const ObjectFacts facts, ReadObjectFacts(object));
    if (type == EventType::kBookmark) {
      if (in_initial_events_ && facts.ends_initial_events) {
        in_initial_events_ = false;
        ++streaming_lists_;
        OnListEnd(facts.resource_version);
        machine_.OnInitialEventsEnd(facts.resource_version);
        return {};
      }
    } else if (in_initial_events_ && type == EventType::kAdded) {
      sink_->OnListItem(facts.key, object);
    } else {
      ++events_;
      if (type == EventType::kDeleted) {
        sink_->OnDelete(facts.key, VersionNumber(facts.resource_version));
      } else {
        sink_->OnUpsert(facts.key, object);
      }
    }
    machine_.OnEvent(facts.resource_version);
    return {};
  }

  void OnWatchEnded(const std::optional<ApiFailure>& failure) {
    if (stopped_) return;
    if (failure) Note(*failure);
    const int64_t now_ns = NowNs();
    const int64_t lasted_ms = (now_ns - watch_began_ns_) / 1'000'000;
    // That was the answer to the form alone: it says nothing about streaming lists.
    if (failure && RefusesForm(failure->error) && LeaveProtobuf(failure->error)) {
      return Act(machine_.OnWatchEnded(NotUnderstood(failure->error), lasted_ms, now_ns));
    }
    Act(machine_.OnWatchEnded(failure, lasted_ms, now_ns));
  }

  void Note(const ApiFailure& failure) {
    ++failures_;
    if (failure.error.code == Code::kCancelled) return;
    LOG_WARN_EVERY(kLogEveryMs, "list or watch failed; trying again",
                   Field("resource", type_.plural), Field("reason", failure.error.reason),
                   Field("error", failure.error));
    last_failure_ = failure.error.message;
    const std::lock_guard lock(mutex_);
    last_error_ = failure.error.message;
  }

  Client& client_;
  const ResourceType type_;
  const ListOptions list_options_;
  const std::shared_ptr<ObjectSink> sink_;  // with whoever made us
  const bool wants_streaming_;

  // Of the I/O thread.
  ListWatch machine_;
  WatchStream stream_;
  json::Document document_;
  Client::CallId call_ = 0;
  net::IoThread::TimerId timer_ = 0;
  int64_t watch_began_ns_ = 0;
  bool stopped_ = false;
  bool protobuf_;
  bool in_initial_events_ = false;
  std::string last_failure_;

  mutable std::mutex mutex_;
  mutable std::condition_variable synced_changed_;
  bool synced_ = false;
  std::string last_error_;

  std::atomic<uint64_t> lists_{0};
  std::atomic<uint64_t> watches_{0};
  std::atomic<uint64_t> events_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> streaming_lists_{0};
  std::atomic<bool> without_streaming_{false};
  std::atomic<bool> without_protobuf_{false};
  std::atomic<int64_t> last_heard_ns_{0};
};

WatchLoop::WatchLoop(Client& client, const ReflectorOptions& options,
                     std::shared_ptr<ObjectSink> sink, bool want_protobuf)
    : impl_(std::make_shared<Impl>(client, options, std::move(sink), want_protobuf)) {
  impl_->Begin();
}

WatchLoop::~WatchLoop() { impl_->Stop(); }

bool WatchLoop::HasSynced() const { return impl_->HasSynced(); }
Status WatchLoop::WaitForSync(int64_t timeout_ms) const { return impl_->WaitForSync(timeout_ms); }
ReflectorStats WatchLoop::stats() const { return impl_->stats(); }

}  // namespace hami::kube
