// SPDX-License-Identifier: Apache-2.0

#include "kube/event_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "kube/event_pace.h"
#include "net/io_thread.h"

namespace hami::kube {
namespace {

constexpr size_t kMaxNameBytes = 253;
constexpr size_t kSuffixBytes = 17;  // "." and 16 digits

int64_t NowMs() { return base::SystemClock().MonotonicNs() / 1'000'000; }

const std::string& NamespaceOf(const EventSubject& subject) {
  static const std::string cluster = "default";
  return subject.key.name_space.empty() ? cluster : subject.key.name_space;
}

// At most `size` bytes, with no character cut in half.
std::string Shorten(std::string text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  return text;
}

// Unique without asking: the object's name and a number that no other writer will have.
std::string MakeName(const EventSubject& subject, int64_t number) {
  std::string name = Shorten(subject.key.name, kMaxNameBytes - kSuffixBytes);
  while (!name.empty() && (name.back() == '.' || name.back() == '-')) name.pop_back();
  return fmt::format("{}.{:016x}", name, static_cast<uint64_t>(number));
}

}  // namespace

class EventRecorder::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Client& client, std::string component, std::string host)
      : client_(client), component_(std::move(component)), host_(std::move(host)) {}

  void Record(const EventSubject& subject, EventWords words) {
    if (pending_.fetch_add(1) >= kMaxPending) {
      --pending_;
      return Drop(1, "too much is waiting");
    }
    words.message = Shorten(std::move(words.message), kMaxMessageBytes);
    client_.io_thread().Post([self = shared_from_this(), subject, words = std::move(words),
                              wall_ns = base::SystemClock().WallNs()] {
      if (!words.is_warning) self->pace_.NoteSaid(NowMs());
      const auto decision = self->book_.Note(subject, words, NowMs(), wall_ns);
      if (decision.verdict == EventBook::Verdict::kDropped) {
        self->Drop(1, "too much is said about " + subject.key.Text());
      }
      self->Act(decision);
      self->Done();
    });
  }

  bool Flush(int64_t timeout_ms) {
    CHECK(!client_.io_thread().IsCurrent());
    client_.io_thread().Post([self = shared_from_this()] {
      self->held_.clear();  // among those that wait
      for (const EventBook::LineId line : self->book_.Waiting()) {
        if (self->book_.Due(line).verdict == EventBook::Verdict::kSend) self->Send(line);
      }
    });
    // A second round: behind the first on the thread, so what it began is pending.
    std::unique_lock lock(mutex_);
    bool began = false;
    client_.io_thread().Post([self = shared_from_this(), &began] {
      const std::lock_guard held(self->mutex_);
      began = true;
      self->changed_.notify_all();
    });
    changed_.wait(lock, [&began] { return began; });
    return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                             [this] { return pending_ == 0; });
  }

  void Stop() {
    client_.io_thread().Post([self = shared_from_this()] {
      self->stopped_ = true;
      for (const auto& [line, timer] : self->timers_) self->client_.io_thread().Cancel(timer);
      self->timers_.clear();
      if (self->pace_timer_ != 0) self->client_.io_thread().Cancel(self->pace_timer_);
    });
  }

  EventStats stats() const {
    return {.created = created_, .updated = updated_, .dropped = dropped_};
  }

 private:
  // Everything below is of the I/O thread.
  void Act(const EventBook::Decision& decision) {
    if (stopped_) return;
    if (decision.verdict == EventBook::Verdict::kSend) return SendInTime(decision.line);
    if (decision.verdict != EventBook::Verdict::kLater) return;
    timers_[decision.line] = client_.io_thread().After(
        decision.in_ms, [self = shared_from_this(), line = decision.line] {
          self->timers_.erase(line);
          self->Act(self->book_.Due(line));
        });
  }

  void SendInTime(EventBook::LineId id) {
    if (book_.At(id).words.is_warning) return Send(id);
    if (held_.empty() && pace_.WaitMs(NowMs()) == 0) {
      pace_.NoteSent(NowMs());
      return Send(id);
    }
    if (held_.size() >= kMaxHeld) return Drop(1, "too many events wait for their time");
    book_.Hold(id);
    held_.push_back(id);
    if (held_.size() == 1) SendHeld();
  }

  // As many as may go now; comes again for the rest.
  void SendHeld() {
    while (!held_.empty() && !stopped_) {
      const int64_t wait_ms = pace_.WaitMs(NowMs());
      if (wait_ms > 0) {
        if (pace_timer_ != 0) client_.io_thread().Cancel(pace_timer_);
        pace_timer_ = client_.io_thread().After(wait_ms, [self = shared_from_this()] {
          self->pace_timer_ = 0;
          self->SendHeld();
        });
        return;
      }
      const EventBook::LineId id = held_.front();
      held_.pop_front();
      if (book_.Due(id).verdict != EventBook::Verdict::kSend) continue;
      pace_.NoteSent(NowMs());
      Send(id);
    }
  }

  void Send(EventBook::LineId id) {
    if (const auto timer = timers_.find(id); timer != timers_.end()) {  // Flush was earlier
      client_.io_thread().Cancel(timer->second);
      timers_.erase(timer);
    }
    ++pending_;
    const EventBook::Line& line = book_.Begin(id, NowMs());
    const bool creates = line.event_name.empty();
    // Two words in one nanosecond still have two names.
    last_number_ = std::max(last_number_ + 1, base::SystemClock().WallNs());
    const std::string name = creates ? MakeName(line.subject, last_number_) : line.event_name;
    ApiRequest request = creates
                             ? CreateRequest(kEvents, NamespaceOf(line.subject), Body(line, name))
                             : PatchRequest(kEvents, {NamespaceOf(line.subject), name},
                                            PatchKind::kMerge, Patch(line));
    request.repeatable = true;  // its name is ours alone
    client_.Start(std::move(request),
                  [self = shared_from_this(), id, creates, name, sent = line.count,
                   known = line.sent_count](const Result<std::string>& result) {
                    self->OnSent(id, creates, name, sent, sent - known, result);
                    self->Done();
                  });
  }

  void OnSent(EventBook::LineId id, bool creates, const std::string& name, int64_t sent,
              int64_t words, const Result<std::string>& result) {
    const Code code = result ? Code::kOk : result.error().code;
    // Named by us alone, so whoever made it was an earlier try of this request.
    if (code == Code::kOk || (creates && code == Code::kAlreadyExists)) {
      ++(creates ? created_ : updated_);
      return Act(book_.End(id, name, sent, NowMs()));
    }
    // Events end after an hour: then the next one begins to count anew.
    if (!creates && code == Code::kNotFound) return Act(book_.End(id, "", 0, NowMs()));
    Drop(static_cast<uint64_t>(words), result.error().message);
    Act(book_.End(id, creates ? "" : name, sent, NowMs()));
  }

  void Done() {
    const std::lock_guard lock(mutex_);
    if (--pending_ == 0) changed_.notify_all();
  }

  void Drop(uint64_t words, const std::string& why) {
    dropped_ += words;
    LOG_WARN_EVERY(60'000, "an event was dropped", Field("error", why));
  }

  std::string Body(const EventBook::Line& line, const std::string& name) const {
    const EventSubject& subject = line.subject;
    base::JsonWriter json;
    json.BeginObject().Member("apiVersion", "v1").Member("kind", "Event");
    json.Key("metadata").BeginObject().Member("name", name);
    json.Member("namespace", NamespaceOf(subject)).EndObject();
    json.Key("involvedObject").BeginObject();
    json.Member("apiVersion", subject.api_version).Member("kind", subject.kind);
    if (!subject.key.name_space.empty()) json.Member("namespace", subject.key.name_space);
    json.Member("name", subject.key.name);
    if (!subject.uid.empty()) json.Member("uid", subject.uid);
    json.EndObject();
    json.Member("type", line.words.is_warning ? "Warning" : "Normal");
    json.Member("reason", line.words.reason).Member("message", line.words.message);
    json.Key("source").BeginObject().Member("component", component_).Member("host", host_);
    json.EndObject();
    json.Member("reportingComponent", component_).Member("reportingInstance", host_);
    json.Member("firstTimestamp", base::FormatTimestamp(line.first_wall_ns));
    json.Member("lastTimestamp", base::FormatTimestamp(line.last_wall_ns))
        .Member("count", line.count);
    return std::move(json.EndObject()).Take();
  }

  static std::string Patch(const EventBook::Line& line) {
    base::JsonWriter json;
    json.BeginObject().Member("count", line.count);
    json.Member("lastTimestamp", base::FormatTimestamp(line.last_wall_ns));
    return std::move(json.EndObject()).Take();
  }

  Client& client_;
  const std::string component_;
  const std::string host_;
  std::atomic<uint64_t> created_{0};
  std::atomic<uint64_t> updated_{0};
  std::atomic<uint64_t> dropped_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> pending_{0};  // words on their way here, requests on their way there

  // Of the I/O thread.
  EventBook book_;
  EventPace pace_;
  std::deque<EventBook::LineId> held_;  // by book_, too
  net::IoThread::TimerId pace_timer_ = 0;
  std::unordered_map<EventBook::LineId, net::IoThread::TimerId> timers_;
  int64_t last_number_ = 0;
  bool stopped_ = false;
};

EventRecorder::EventRecorder(Client& client, std::string component, std::string host)
    : impl_(std::make_shared<Impl>(client, std::move(component), std::move(host))) {}

EventRecorder::~EventRecorder() { impl_->Stop(); }

void EventRecorder::Record(const EventSubject& subject, EventWords words) {
  impl_->Record(subject, std::move(words));
}

bool EventRecorder::Flush(int64_t timeout_ms) { return impl_->Flush(timeout_ms); }
EventStats EventRecorder::stats() const { return impl_->stats(); }

}  // namespace hami::kube
