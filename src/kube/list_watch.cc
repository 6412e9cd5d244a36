// SPDX-License-Identifier: Apache-2.0

#include "kube/list_watch.h"

#include <algorithm>
#include <utility>

namespace hami::kube {
namespace {

// A watch that ends properly but so soon, without an event, is a server in trouble.
constexpr int64_t kShortWatchMs = 1'000;

// Lists that expired between their pages before all is asked for in one.
constexpr int kPagedTries = 2;

// Streaming lists that did not come to their end before pages are asked for.
constexpr int kStreamTries = 3;

// Whether the version we have is still good when a watch failed like this.
bool KeepsVersion(const ApiFailure& failure) {
  switch (failure.error.code) {
    case Code::kUnavailable:         // broke, refused, 502, 503
    case Code::kDeadlineExceeded:    // silent, 504
    case Code::kResourceExhausted:   // 429
    case Code::kUnauthenticated:     // a token that is just renewed
    case Code::kInternal:            // 500
    case Code::kFailedPrecondition:  // TLS
      return true;
    default:
      return false;
  }
}

}  // namespace

ListWatch::ListWatch(const ListWatchOptions& options, net::Random random)
    : options_(options),
      random_(std::move(random)),
      backoff_(options.backoff, random_),
      streaming_(options.streaming) {}

ListWatch::Step ListWatch::Start() { return ListAll(); }

ListWatch::Step ListWatch::ListAll() {
  if (!streaming_) return List("");
  Step step = Watch();
  step.is_streaming_list = true;
  step.resource_version.clear();
  in_initial_events_ = true;
  return step;
}

ListWatch::Step ListWatch::List(const std::string& continue_token) {
  in_pages_ = !continue_token.empty();
  return {.kind = Step::Kind::kList,
          .is_first_page = continue_token.empty(),
          .page_size = expired_lists_ >= kPagedTries ? 0 : options_.page_size,
          .continue_token = continue_token};
}

ListWatch::Step ListWatch::Watch() {
  saw_event_ = false;
  return {.kind = Step::Kind::kWatch,
          .resource_version = resource_version_,
          .timeout_s = net::RandomBetween(random_, options_.min_watch_s, options_.max_watch_s)};
}

ListWatch::Step ListWatch::Wait(bool then_list, const std::optional<int64_t>& at_least_ms,
                                int64_t now_ns) {
  then_list_ = then_list;
  return {.kind = Step::Kind::kWait,
          .delay_ms = std::max(backoff_.NextMs(now_ns), at_least_ms.value_or(0))};
}

ListWatch::Step ListWatch::OnPage(const std::string& resource_version,
                                  const std::string& continue_token) {
  if (!continue_token.empty()) return List(continue_token);
  expired_lists_ = 0;
  resource_version_ = resource_version;
  return Watch();
}

ListWatch::Step ListWatch::OnListFailed(const ApiFailure& failure, int64_t now_ns) {
  if (in_pages_ && IsExpired(failure.error)) {
    ++expired_lists_;
    return List("");
  }
  return Wait(/*then_list=*/true, failure.retry_after_ms, now_ns);
}

void ListWatch::OnInitialEventsEnd(const std::string& resource_version) {
  in_initial_events_ = false;
  unfinished_streams_ = 0;
  OnEvent(resource_version);
}

void ListWatch::OnEvent(const std::string& resource_version) {
  saw_event_ = true;
  if (!in_initial_events_ && !resource_version.empty()) resource_version_ = resource_version;
}

ListWatch::Step ListWatch::OnWatchEnded(const std::optional<ApiFailure>& failure, int64_t lasted_ms,
                                        int64_t now_ns) {
  if (std::exchange(in_initial_events_, false)) return OnStreamingListEnded(failure, now_ns);
  if (!failure) {
    if (saw_event_ || lasted_ms >= kShortWatchMs) return Watch();
    return Wait(/*then_list=*/false, std::nullopt, now_ns);
  }
  return Wait(/*then_list=*/!KeepsVersion(*failure), failure->retry_after_ms, now_ns);
}

ListWatch::Step ListWatch::OnStreamingListEnded(const std::optional<ApiFailure>& failure,
                                                int64_t now_ns) {
  // 422 Invalid, 400 BadRequest: the server does not know the question.
  if (failure && failure->error.code == Code::kInvalidArgument && failure->http_status != 0) {
    streaming_ = false;
    return List("");
  }
  // Who never ends its initial events does not know it either; and where connections break, a page
  // at a time gets through when a stream of everything does not. A server that is away is neither.
  if ((!failure || saw_event_) && ++unfinished_streams_ >= kStreamTries) streaming_ = false;
  return Wait(/*then_list=*/true, failure ? failure->retry_after_ms : std::nullopt, now_ns);
}

ListWatch::Step ListWatch::OnWaited() { return then_list_ ? ListAll() : Watch(); }

}  // namespace hami::kube
