// SPDX-License-Identifier: Apache-2.0
//
// WatchLoop: does what ListWatch says, by the client, on its I/O thread.

#include "kube/reflector.h"

#include <condition_variable>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/watch_stream.h"
#include "net/backoff.h"
#include "net/io_thread.h"

namespace hami::kube {
namespace {

constexpr int kLogEveryMs = 30'000;

int64_t NowNs() { return base::SystemClock().MonotonicNs(); }

ObjectKey KeyOf(json::Value object) {
  const json::Value metadata = object["metadata"];
  return {std::string(metadata["namespace"].Text()), std::string(metadata["name"].Text())};
}

ApiFailure NotUnderstood(Error error) { return {std::move(error), 0, std::nullopt}; }

}  // namespace

void WarnUndecodable(const ObjectKey& key, const Error& error) {
  LOG_WARN_EVERY(kLogEveryMs, "an object of the API is left out", Field("object", key.Text()),
                 Field("error", error));
}

class WatchLoop::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Client& client, const ReflectorOptions& options, std::shared_ptr<ObjectSink> sink)
      : client_(client),
        type_(options.type),
        list_options_(options.list),
        sink_(std::move(sink)),
        machine_(options.timing, net::SystemRandom()) {}

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

  void List(const Step& step) {
    if (step.is_first_page) sink_->OnListBegin();
    ListOptions options = list_options_;
    options.page_size = step.page_size;
    call_ = client_.Start(
        ListRequest(type_, options, step.continue_token),
        [self = shared_from_this()](Result<std::string> page) { self->OnPage(std::move(page)); });
  }

  void OnPage(Result<std::string> page) {
    if (stopped_) return;
    if (page) {
      page->reserve(page->size() + json::Document::kPadding);
      if (Status parsed = document_.ParsePadded(*page); !parsed) {
        page = Fail(std::move(parsed).error());
      }
    }
    if (!page) {
      const ApiFailure failure = NotUnderstood(std::move(page).error());
      Note(failure);
      return Act(machine_.OnListFailed(failure, NowNs()));
    }
    last_heard_ns_ = NowNs();
    const json::Value root = document_.root();
    for (const json::Value item : root["items"].Elements()) sink_->OnListItem(KeyOf(item), item);
    const std::string version(root["metadata"]["resourceVersion"].Text());
    const std::string token(root["metadata"]["continue"].Text());
    if (token.empty()) {
      sink_->OnListEnd();
      document_ = json::Document();  // as large as a page, and not needed for hours
      ++lists_;
      const std::lock_guard lock(mutex_);
      synced_ = true;
      synced_changed_.notify_all();
    }
    Act(machine_.OnPage(version, token));
  }

  void Watch(const Step& step) {
    ++watches_;
    stream_ = WatchStream();
    watch_began_ns_ = NowNs();
    call_ = client_.Stream(
        WatchRequest(type_, list_options_, step.resource_version, step.timeout_s),
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
        stream_.Feed(data, [this, &failure](EventType type, json::Value object) -> Status {
          return OnEvent(type, object, &failure);
        });
    if (status) return;
    client_.Cancel(call_);
    OnWatchEnded(failure ? failure : NotUnderstood(status.error()));
  }

  Status OnEvent(EventType type, json::Value object, std::optional<ApiFailure>* failure) {
    if (type == EventType::kError) {
      *failure = FailureOfStatus(object);
      return Fail((*failure)->error);
    }
    if (type != EventType::kBookmark) {
      ++events_;
      if (type == EventType::kDeleted) {
        sink_->OnDelete(KeyOf(object));
      } else {
        sink_->OnUpsert(KeyOf(object), object);
      }
    }
    machine_.OnEvent(std::string(object["metadata"]["resourceVersion"].Text()));
    return {};
  }

  void OnWatchEnded(const std::optional<ApiFailure>& failure) {
    if (stopped_) return;
    if (failure) Note(*failure);
    const int64_t now_ns = NowNs();
    Act(machine_.OnWatchEnded(failure, (now_ns - watch_began_ns_) / 1'000'000, now_ns));
  }

  void Note(const ApiFailure& failure) {
    ++failures_;
    if (failure.error.code == Code::kCancelled) return;
    LOG_WARN_EVERY(kLogEveryMs, "list or watch failed; trying again",
                   Field("resource", type_.plural), Field("reason", failure.error.reason),
                   Field("error", failure.error));
    const std::lock_guard lock(mutex_);
    last_error_ = failure.error.message;
  }

  Client& client_;
  const ResourceType type_;
  const ListOptions list_options_;
  const std::shared_ptr<ObjectSink> sink_;  // with whoever made us

  // Of the I/O thread.
  ListWatch machine_;
  WatchStream stream_;
  json::Document document_;
  Client::CallId call_ = 0;
  net::IoThread::TimerId timer_ = 0;
  int64_t watch_began_ns_ = 0;
  bool stopped_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable synced_changed_;
  bool synced_ = false;
  std::string last_error_;

  std::atomic<uint64_t> lists_{0};
  std::atomic<uint64_t> watches_{0};
  std::atomic<uint64_t> events_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<int64_t> last_heard_ns_{0};
};

WatchLoop::WatchLoop(Client& client, const ReflectorOptions& options,
                     std::shared_ptr<ObjectSink> sink)
    : impl_(std::make_shared<Impl>(client, options, std::move(sink))) {
  impl_->Begin();
}

WatchLoop::~WatchLoop() { impl_->Stop(); }

bool WatchLoop::HasSynced() const { return impl_->HasSynced(); }
Status WatchLoop::WaitForSync(int64_t timeout_ms) const { return impl_->WaitForSync(timeout_ms); }
ReflectorStats WatchLoop::stats() const { return impl_->stats(); }

}  // namespace hami::kube
