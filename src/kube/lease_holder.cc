// SPDX-License-Identifier: Apache-2.0

#include "kube/lease_holder.h"

#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/io_thread.h"

namespace hami::kube {
namespace {

constexpr int kLogEveryMs = 30'000;

int64_t NowNs() { return base::SystemClock().MonotonicNs(); }
int64_t WallNs() { return base::SystemClock().WallNs(); }

Result<Lease> ParseLease(const Result<std::string>& answer) {
  if (!answer) return Fail(answer.error());
  json::Document document;
  RETURN_IF_ERROR(document.Parse(*answer));
  return ReadLease(document.root());
}

}  // namespace

class LeaseHolder::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Client& client, ElectionOptions options, OnChange on_change)
      : client_(client),
        options_(options),
        on_change_(std::move(on_change)),
        election_(std::move(options), net::SystemRandom()) {}

  void Begin() {
    client_.io_thread().Post([self = shared_from_this()] { self->Act(self->election_.Start()); });
  }

  void Stop() {
    client_.io_thread().Post([self = shared_from_this()] { self->StopHere(); });
  }

  int64_t LeftMs() const {
    const std::lock_guard lock(mutex_);
    return election_.LeftMs(NowNs());
  }

  std::string holder() const {
    const std::lock_guard lock(mutex_);
    return election_.holder();
  }

  Status Release(int64_t timeout_ms) {
    CHECK(!client_.io_thread().IsCurrent());
    auto patch = std::make_shared<std::promise<std::optional<Lease>>>();  // with the task
    client_.io_thread().Post([self = shared_from_this(), patch] {
      self->StopHere();
      std::optional<Lease> lease;
      {
        const std::lock_guard lock(self->mutex_);
        lease = self->election_.Release(NowNs(), WallNs());
      }
      self->TellChange();
      patch->set_value(std::move(lease));
    });
    std::optional<Lease> lease = patch->get_future().get();
    for (int tries = 1; lease; ++tries) {
      const Status given = Patch(*lease, timeout_ms);
      if (given || given.error().code != Code::kAborted || tries == kReleaseTries) return given;
      // A renewal that was under way has arrived after all.
      ASSIGN_OR_RETURN(const Lease now, Read(timeout_ms));
      if (now.holder != options_.identity) break;
      lease->resource_version = now.resource_version;
    }
    return {};
  }

 private:
  using Step = Election::Step;
  static constexpr int kReleaseTries = 3;

  Status Patch(const Lease& lease, int64_t timeout_ms) {
    ApiRequest request =
        PatchRequest(kLeases, options_.lease, PatchKind::kMerge, WriteLeasePatch(lease));
    request.timeout_ms = timeout_ms;
    if (const auto answer = client_.Do(std::move(request)); !answer) return Fail(answer.error());
    return {};
  }

  Result<Lease> Read(int64_t timeout_ms) {
    ApiRequest request = GetRequest(kLeases, options_.lease);
    request.timeout_ms = timeout_ms;
    return ParseLease(client_.Do(std::move(request)));
  }

  void StopHere() {
    stopped_ = true;
    client_.Cancel(call_);
    client_.io_thread().Cancel(timer_);
    client_.io_thread().Cancel(end_timer_);
  }

  void Act(const Step& step) {
    TellChange();
    if (stopped_) return;
    switch (step.kind) {
      case Step::Kind::kRead:
        return Send(GetRequest(kLeases, options_.lease), &Impl::OnRead);
      case Step::Kind::kCreate:
        return Send(CreateRequest(kLeases, options_.lease.name_space, WriteLease(step.lease)),
                    &Impl::OnWritten);
      case Step::Kind::kPatch:
        return Send(
            PatchRequest(kLeases, options_.lease, PatchKind::kMerge, WriteLeasePatch(step.lease)),
            &Impl::OnWritten);
      case Step::Kind::kWait:
        timer_ = client_.io_thread().After(step.delay_ms,
                                           [self = shared_from_this()] { self->OnWaited(); });
    }
  }

  void Send(ApiRequest request, void (Impl::*then)(const Result<Lease>&)) {
    // A renewal that takes longer is given up and tried anew.
    request.timeout_ms = options_.renew_deadline_ms / 2;
    call_ = client_.Start(std::move(request),
                          [self = shared_from_this(), then](const Result<std::string>& answer) {
                            if (self->stopped_) return;
                            const Result<Lease> lease = ParseLease(answer);
                            self->Note(lease);
                            (*self.*then)(lease);
                          });
  }

  void OnRead(const Result<Lease>& lease) {
    Act(Locked([&](Election& election) { return election.OnRead(lease, NowNs(), WallNs()); }));
  }

  void OnWritten(const Result<Lease>& lease) {
    Act(Locked([&](Election& election) { return election.OnWritten(lease, NowNs()); }));
  }

  void OnWaited() {
    Act(Locked([](Election& election) { return election.OnWaited(NowNs(), WallNs()); }));
  }

  template <typename F>
  Step Locked(F function) {
    const std::lock_guard lock(mutex_);
    return function(election_);
  }

  void Note(const Result<Lease>& lease) {
    if (lease || lease.error().code == Code::kNotFound || lease.error().code == Code::kCancelled) {
      return;
    }
    LOG_WARN_EVERY(kLogEveryMs, "the Lease could not be read or written; trying again",
                   Field("lease", options_.lease.Text()), Field("error", lease.error()));
  }

  // Also when our time runs out while nothing is heard.
  void TellChange() {
    const int64_t left_ms = LeftMs();
    client_.io_thread().Cancel(end_timer_);
    if (left_ms > 0 && !stopped_) {
      end_timer_ = client_.io_thread().After(left_ms + 1,
                                             [self = shared_from_this()] { self->TellChange(); });
    }
    if (std::exchange(told_, left_ms > 0) == (left_ms > 0)) return;
    LOG_INFO(left_ms > 0 ? "this replica leads" : "this replica leads no longer",
             Field("lease", options_.lease.Text()), Field("identity", options_.identity));
    on_change_(left_ms > 0);
  }

  Client& client_;
  const ElectionOptions options_;
  const OnChange on_change_;

  // Of the I/O thread.
  Client::CallId call_ = 0;
  net::IoThread::TimerId timer_ = 0;
  net::IoThread::TimerId end_timer_ = 0;
  bool told_ = false;
  bool stopped_ = false;

  mutable std::mutex mutex_;
  Election election_;  // written on the I/O thread
};

LeaseHolder::LeaseHolder(Client& client, ElectionOptions options, OnChange on_change)
    : impl_(std::make_shared<Impl>(client, std::move(options), std::move(on_change))) {
  impl_->Begin();
}

LeaseHolder::~LeaseHolder() { impl_->Stop(); }

int64_t LeaseHolder::LeftMs() const { return impl_->LeftMs(); }
std::string LeaseHolder::holder() const { return impl_->holder(); }
Status LeaseHolder::Release(int64_t timeout_ms) { return impl_->Release(timeout_ms); }

}  // namespace hami::kube
