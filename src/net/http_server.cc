// SPDX-License-Identifier: Apache-2.0
//
// Threads around one epoll: whoever is free has the next turn of whichever connection is ready. A
// handler may hold its thread for long (a bind waits for the API server), so no connection belongs
// to a thread. EPOLLONESHOT: what was handed out is not watched until it is armed again.

#include "net/http_server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/byte_buffer.h"
#include "net/connection_table.h"
#include "net/deadline_timer.h"
#include "net/listener.h"
#include "net/server_connection.h"
#include "net/tls_transport.h"
#include "net/transport.h"

namespace hami::net {
namespace {

constexpr int64_t kAcceptPauseNs = 20'000'000;
constexpr int kAcceptsATurn = 16;

int64_t NowNs() { return base::SystemClock().MonotonicNs(); }

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpServerOptions& options, std::vector<Route> routes)
      : shared_{.options = options, .router = HttpRouter(std::move(routes))} {}

  ~Impl() { Stop(0); }

  Status Open() {
    RETURN_IF_ERROR(listener_.Open(shared_.options.address, shared_.options.port));
    RETURN_IF_ERROR(timer_.Open());
    epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
    end_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_.valid() || !end_.valid()) return FailErrno("prepare to wait for connections");
    Watch(end_.get(), EPOLLIN, &end_);
    Watch(timer_.fd(), EPOLLIN | EPOLLET, &timer_);
    Watch(listener_.fd(), EPOLLIN | EPOLLONESHOT, &listener_);
    return {};
  }

  void Run() {
    for (int i = 0; i < shared_.options.threads; ++i) {
      threads_.emplace_back([this] {
        // Signals are for the program's own threads.
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        Work();
      });
    }
  }

  uint16_t port() const { return listener_.port(); }

  void Stop(int64_t grace_ms) {
    if (shared_.stopping.exchange(true)) return;
    {
      const std::lock_guard lock(accepting_);
      listener_.Close();
      accepted_.Reset();
    }
    connections_.EndIdle();
    connections_.AwaitNone(grace_ms);
    connections_.EndAll();
    if (!threads_.empty()) connections_.AwaitNone();
    const uint64_t one = 1;
    CHECK(!end_.valid() || ::write(end_.get(), &one, sizeof(one)) == sizeof(one));
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  // What epoll hands out: the address of end_, timer_, listener_, or of a connection.
  void Watch(int fd, uint32_t events, void* what) {
    epoll_event event = {.events = events, .data = {.ptr = what}};
    CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }
  // From here on it may be another thread's, which may close it. epoll_ctl by its number: the
  // thread sanitizer does not know that it hands something over, and would see a race with close.
  void Arm(int fd, uint32_t events, void* what) {
    epoll_event event = {.events = events | EPOLLONESHOT, .data = {.ptr = what}};
    CHECK(::syscall(SYS_epoll_ctl, epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
  }

  void Work() {
    ByteBuffer spare;
    for (;;) {
      // One at a time: while this thread is in a handler, others have what is ready besides.
      epoll_event event = {};
      const int count = ::epoll_wait(epoll_.get(), &event, 1, -1);
      if (count == 0 || (count < 0 && errno == EINTR)) continue;
      CHECK(count == 1);
      if (event.data.ptr == &end_) return;
      if (event.data.ptr == &timer_) {
        LookAtDeadlines();
      } else if (event.data.ptr == &listener_) {
        Accept();
      } else {
        Serve(static_cast<ServerConnection*>(event.data.ptr), &spare);
      }
    }
  }

  void Serve(ServerConnection* connection, ByteBuffer* spare) {
    auto next = ServerConnection::Next::kEnd;
    try {
      next = connection->Turn(spare);
    } catch (const std::exception& exception) {  // no memory
      LOG_ERROR_EVERY(10'000, "a connection was ended", Field("error", exception.what()));
    }
    if (next == ServerConnection::Next::kEnd) return connections_.Remove(connection);
    const int fd = connection->fd();
    timer_.NotLaterThan(connection->LetGo());
    // A socket that can be sent to is ready at once, behind those that are ready already.
    Arm(fd, next == ServerConnection::Next::kRead ? EPOLLIN : EPOLLOUT, connection);
  }

  void LookAtDeadlines() {
    timer_.Expired();
    const int64_t now_ns = NowNs();
    timer_.NotLaterThan(connections_.EndOverdue(now_ns));
    int64_t accept_again_ns = accept_again_ns_;
    if (accept_again_ns > now_ns) {
      timer_.NotLaterThan(accept_again_ns);
    } else if (accept_again_ns_.compare_exchange_strong(accept_again_ns, kNoDeadline)) {
      Accept();
    }
  }

  // --- New connections. One thread at a time: the listener is armed, or its pause runs. ---

  void Accept() {
    const std::lock_guard lock(accepting_);
    for (int i = 0; i < kAcceptsATurn; ++i) {
      if (shared_.stopping) return;
      if (!accepted_.valid()) {
        Result<base::Fd> fd = listener_.Accept();
        if (!fd) {
          // No descriptors are left, or the like: whoever waits in the queue waits a little longer.
          LOG_WARN_EVERY(30'000, "a connection was not accepted", Field("error", fd.error()));
          return PauseAccepting();
        }
        accepted_ = std::move(*fd);
        if (!accepted_.valid()) break;
      }
      if (!connections_.MakeRoom(shared_.options.max_connections)) return PauseAccepting();
      Begin(std::move(accepted_));
    }
    Arm(listener_.fd(), EPOLLIN, &listener_);
  }

  void PauseAccepting() {
    const int64_t again_ns = NowNs() + kAcceptPauseNs;
    accept_again_ns_ = again_ns;
    timer_.NotLaterThan(again_ns);
  }

  void Begin(base::Fd accepted) {
    std::unique_ptr<Transport> transport;
    if (shared_.options.tls == nullptr) {
      transport = std::make_unique<PlainTransport>(std::move(accepted));
    } else if (const std::shared_ptr<ssl_ctx_st> identity = shared_.options.tls->Context()) {
      transport = MakeTlsTransport(std::move(accepted), identity.get());
    } else {
      LOG_WARN_EVERY(30'000, "a connection was ended: the server has no certificate yet");
      return;
    }
    auto made = std::make_unique<ServerConnection>(std::move(transport), shared_);
    ServerConnection* const connection = made.get();
    connections_.Add(std::move(made));
    const int fd = connection->fd();
    timer_.NotLaterThan(connection->LetGo());
    Watch(fd, EPOLLIN | EPOLLONESHOT, connection);
  }

  ServerShared shared_;
  Listener listener_;
  DeadlineTimer timer_;
  base::Fd epoll_;
  base::Fd end_;  // readable: the threads end
  std::mutex accepting_;
  base::Fd accepted_;  // waits for room
  std::atomic<int64_t> accept_again_ns_{kNoDeadline};
  ConnectionTable connections_;
  std::vector<std::thread> threads_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      std::vector<Route> routes) {
  auto impl = std::make_unique<Impl>(options, std::move(routes));
  RETURN_IF_ERROR(impl->Open());
  impl->Run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

uint16_t HttpServer::port() const { return impl_->port(); }
void HttpServer::Stop(int64_t grace_ms) { impl_->Stop(grace_ms); }

}  // namespace hami::net
