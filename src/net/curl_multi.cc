// SPDX-License-Identifier: Apache-2.0

#include "net/curl_multi.h"

#include <curl/curl.h>
#include <sys/epoll.h>

#include <mutex>
#include <utility>

#include "base/check.h"

namespace hami::net {

struct CurlMultiCallbacks {
  static int Socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
    static_cast<CurlMulti*>(self)->WatchSocket(fd, what);
    return 0;
  }
  static int Timer(CURLM*, long timeout_ms, void* self) {
    static_cast<CurlMulti*>(self)->SetTimer(timeout_ms);
    return 0;
  }
};

namespace {

CURLM* MakeMulti() {
  static std::once_flag once;
  std::call_once(once, [] { CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
  CURLM* multi = curl_multi_init();
  CHECK(multi != nullptr);
  return multi;
}

}  // namespace

CurlMulti::CurlMulti(IoThread& thread, std::function<void(void*, int)> done)
    : thread_(thread), done_(std::move(done)), multi_(MakeMulti()) {
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlMultiCallbacks::Socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlMultiCallbacks::Timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
}

CurlMulti::~CurlMulti() {
  CHECK(size_ == 0);
  curl_multi_cleanup(multi_);  // closes the connections, and says so to Socket
  thread_.Cancel(timer_);
}

void CurlMulti::Add(void* easy) {
  ++size_;
  CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
}

void CurlMulti::Remove(void* easy) {
  CHECK(curl_multi_remove_handle(multi_, easy) == CURLM_OK);
  --size_;
}

void CurlMulti::Act(int fd, int events) {
  int running = 0;
  const CURLMcode code = curl_multi_socket_action(multi_, fd, events, &running);
  CHECK(code == CURLM_OK || code == CURLM_BAD_SOCKET);
  TakeFinished();
}

void CurlMulti::TakeFinished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Remove(easy);
    done_(easy, code);
  }
}

void CurlMulti::WatchSocket(int fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    thread_.Watch(fd, 0, nullptr);
    return;
  }
  const uint32_t wanted =
      ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
  thread_.Watch(fd, wanted, [this, fd](uint32_t events) {
    const int action = ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 ? CURL_CSELECT_IN : 0) |
                       ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                       ((events & EPOLLERR) != 0 ? CURL_CSELECT_ERR : 0);
    Act(fd, action);
  });
}

void CurlMulti::SetTimer(long timeout_ms) {
  thread_.Cancel(timer_);
  timer_ = 0;
  if (timeout_ms < 0) return;
  timer_ = thread_.After(timeout_ms, [this] {
    timer_ = 0;
    Act(CURL_SOCKET_TIMEOUT, 0);
  });
}

}  // namespace hami::net
