// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows Boost. A Session is one connection: a coroutine on a strand of its own.

#include "net/http_server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 with the address sanitizer sees one in Beast's use of boost::optional, wrongly.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
// The thread sanitizer does not know Asio's fences. What they order is behind mutexes too.
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/log.h"

namespace hami::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

using Parser = http::request_parser<http::string_body>;
using Answer = http::response<http::string_body>;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr int64_t kAcceptPauseMs = 100;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

ServerResponse Plain(int status, std::string body) {
  return {.status = status, .body = std::move(body) + "\n"};
}

class Router {
 public:
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}

  ServerResponse Answer(const ServerRequest& request) const {
    const std::string_view method = request.method == "HEAD" ? "GET" : request.method;
    std::string allowed;
    for (const Route& route : routes_) {
      if (route.path != request.path) continue;
      if (route.method == method) return Call(route, request);
      allowed += (allowed.empty() ? "" : ", ") + route.method;
    }
    if (allowed.empty()) return Plain(404, "not found");
    ServerResponse response = Plain(405, "method not allowed");
    response.headers.emplace_back("Allow", allowed);
    return response;
  }

 private:
  static ServerResponse Call(const Route& route, const ServerRequest& request) {
    try {
      return route.handler(request);
    } catch (const std::exception& exception) {
      LOG_ERROR_EVERY(10'000, "a handler of the HTTP server failed", Field("path", route.path),
                      Field("error", exception.what()));
      return Plain(500, "internal error");
    }
  }

  const std::vector<Route> routes_;
};

// What all sessions share.
struct Shared {
  Shared(const HttpServerOptions& options_given, std::vector<Route> routes)
      : options(options_given), router(std::move(routes)) {}

  const HttpServerOptions options;
  const Router router;
  std::atomic<bool> stopping{false};
};

class Session {
 public:
  Session(tcp::socket socket, const Shared& shared) : stream_(std::move(socket)), shared_(shared) {}

  // Until the connection ends.
  asio::awaitable<void> Run() {
    ignored_ = stream_.socket().set_option(tcp::no_delay(true), ignored_);
    // g++ 12 breaks co_await inside of && and ?: (a ud2 stands there): one a statement.
    bool goes_on = true;
    while (goes_on && !shared_.stopping) {
      goes_on = co_await WaitForRequest();
      if (goes_on) goes_on = co_await ServeOne();
    }
    ignored_ = stream_.socket().shutdown(tcp::socket::shutdown_send, ignored_);
    stream_.close();
  }

  // From the session's strand.
  void EndIfIdle() {
    if (idle_) stream_.close();
  }
  void End() { stream_.close(); }

  auto executor() { return stream_.get_executor(); }

 private:
  // False when none comes.
  asio::awaitable<bool> WaitForRequest() {
    if (buffer_.size() > 0) co_return true;  // it came with the last one
    idle_ = true;
    Limit(served_ == 0 ? shared_.options.header_timeout_ms : shared_.options.idle_timeout_ms);
    const auto [error, size] =
        co_await stream_.async_read_some(buffer_.prepare(kFirstRead), kNoThrow);
    idle_ = false;
    if (error) co_return false;
    buffer_.commit(size);
    co_return true;
  }

  // False when the connection is to end.
  asio::awaitable<bool> ServeOne() {
    ++served_;
    Parser parser;
    parser.header_limit(static_cast<uint32_t>(shared_.options.max_header_bytes));
    parser.body_limit(shared_.options.max_body_bytes);
    Limit(shared_.options.header_timeout_ms);
    auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, kNoThrow);
    if (!error && View(parser.get()[http::field::expect]) == "100-continue") {
      co_await Continue(parser.get().version());
    }
    if (!error) {
      Limit(shared_.options.body_timeout_ms);
      std::tie(error, size) = co_await http::async_read(stream_, buffer_, parser, kNoThrow);
    }
    if (error) {
      const std::optional<ServerResponse> refusal = Refusal(error);
      if (refusal) co_await Write(*refusal, parser.get(), /*keep_alive=*/false);
      co_return false;
    }
    const http::request<http::string_body>& request = parser.get();
    const ServerResponse response = Handle(request);
    const bool goes_on =
        co_await Write(response, request, request.keep_alive() && !shared_.stopping);
    co_return goes_on;
  }

  ServerResponse Handle(const http::request<http::string_body>& request) const {
    const std::string_view target = View(request.target());
    const size_t mark = target.find('?');
    return shared_.router.Answer({
        .method = View(request.method_string()),
        .path = target.substr(0, mark),
        .query = mark == std::string_view::npos ? "" : target.substr(mark + 1),
        .body = request.body(),
        .header =
            [&request](std::string_view name) {
              return View(request[beast::string_view(name.data(), name.size())]);
            },
    });
  }

  // What a request that cannot be read is told; none: nobody is there to hear it.
  static std::optional<ServerResponse> Refusal(const beast::error_code& error) {
    if (error == http::error::header_limit) return Plain(431, "the header is too large");
    if (error == http::error::body_limit) return Plain(413, "the body is too large");
    if (error == beast::error::timeout || error == http::error::end_of_stream ||
        error == http::error::partial_message || error.category() != BadRequests()) {
      return std::nullopt;
    }
    return Plain(400, "not HTTP: " + error.message());
  }

  static const boost::system::error_category& BadRequests() {
    return make_error_code(http::error::bad_method).category();
  }

  asio::awaitable<void> Continue(unsigned version) {
    http::response<http::empty_body> go_on(http::status::continue_, version);
    Limit(shared_.options.write_timeout_ms);
    co_await http::async_write(stream_, go_on, kNoThrow);
  }

  asio::awaitable<bool> Write(const ServerResponse& response,
                              const http::request<http::string_body>& request, bool keep_alive) {
    const unsigned version = request.version() == 10 ? 10 : 11;
    Answer answer;
    answer.version(version);
    answer.result(static_cast<unsigned>(response.status));
    answer.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) answer.set(name, value);
    answer.keep_alive(keep_alive);
    const bool is_head = request.method() == http::verb::head;
    if (!is_head) answer.body() = response.body;
    answer.content_length(response.body.size());
    Limit(shared_.options.write_timeout_ms);
    http::response_serializer<http::string_body> serializer(answer);
    beast::error_code error;
    size_t size = 0;
    if (is_head) {
      std::tie(error, size) = co_await http::async_write_header(stream_, serializer, kNoThrow);
    } else {
      std::tie(error, size) = co_await http::async_write(stream_, serializer, kNoThrow);
    }
    co_return !error && keep_alive;
  }

  void Limit(int64_t timeout_ms) { stream_.expires_after(std::chrono::milliseconds(timeout_ms)); }

  static constexpr size_t kFirstRead = 4096;

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  const Shared& shared_;
  beast::error_code ignored_;
  bool idle_ = false;
  int served_ = 0;
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpServerOptions& options, std::vector<Route> routes)
      : shared_(options, std::move(routes)),
        io_(options.threads),
        acceptor_(asio::make_strand(io_)),
        pause_(acceptor_.get_executor()) {}

  // NOLINTNEXTLINE(bugprone-exception-escape): without memory to post a task there is no way on
  ~Impl() { Stop(0); }

  Status Open() {
    beast::error_code error;
    const auto address = asio::ip::make_address(shared_.options.address, error);
    if (error) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("\"{}\" is no IP address", shared_.options.address));
    }
    const tcp::endpoint endpoint(address, shared_.options.port);
    error = acceptor_.open(endpoint.protocol(), error);
    if (!error) error = acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) error = acceptor_.bind(endpoint, error);
    if (!error) error = acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use) {
      return Fail(Code::kAlreadyExists, fmt::format("port {} is in use", shared_.options.port));
    }
    if (error) {
      return Fail(ErrnoError(
          error.value(),
          fmt::format("listen on {} port {}", shared_.options.address, shared_.options.port)));
    }
    port_ = acceptor_.local_endpoint(error).port();
    return {};
  }

  void Run() {
    accepting_ = true;
    asio::co_spawn(acceptor_.get_executor(), Accept(), [this](const std::exception_ptr&) {
      const std::lock_guard lock(mutex_);
      accepting_ = false;
      ended_.notify_all();
    });
    for (int i = 0; i < shared_.options.threads; ++i) {
      threads_.emplace_back([this] {
        // Signals are for the program's own threads.
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        io_.run();
      });
    }
  }

  uint16_t port() const { return port_; }

  void Stop(int64_t grace_ms) {
    if (shared_.stopping.exchange(true)) return;
    asio::post(acceptor_.get_executor(), [this] {
      ignored_ = acceptor_.close(ignored_);
      pause_.cancel();
    });
    {
      std::unique_lock lock(mutex_);
      ended_.wait(lock, [this] { return !accepting_; });
    }
    ForEachSession([](Session& session) { session.EndIfIdle(); });
    {
      std::unique_lock lock(mutex_);
      ended_.wait_for(lock, std::chrono::milliseconds(grace_ms),
                      [this] { return sessions_.empty(); });
    }
    ForEachSession([](Session& session) { session.End(); });
    {
      std::unique_lock lock(mutex_);
      ended_.wait(lock, [this] { return sessions_.empty(); });
    }
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  using SessionPointer = std::shared_ptr<Session>;  // its coroutine, and sessions_

  template <typename F>
  void ForEachSession(F act) {
    const std::lock_guard lock(mutex_);
    for (const SessionPointer& session : sessions_) {
      asio::post(session->executor(), [session, act] { act(*session); });
    }
  }

  asio::awaitable<void> Accept() {
    while (!shared_.stopping) {
      if (IsFull()) {
        co_await Pause();
        continue;
      }
      auto [error, socket] = co_await acceptor_.async_accept(asio::make_strand(io_), kNoThrow);
      if (error == asio::error::operation_aborted) break;
      if (error) {
        // No descriptors are left, or the like: whoever waits in the queue waits a little longer.
        LOG_WARN_EVERY(30'000, "a connection was not accepted", Field("error", error.message()));
        co_await Pause();
        continue;
      }
      Begin(std::make_shared<Session>(std::move(socket), shared_));
    }
  }

  void Begin(const SessionPointer& session) {
    {
      const std::lock_guard lock(mutex_);
      if (shared_.stopping) return;
      sessions_.insert(session);
    }
    asio::co_spawn(session->executor(), session->Run(), [this, session](const std::exception_ptr&) {
      const std::lock_guard held(mutex_);
      sessions_.erase(session);
      ended_.notify_all();
    });
  }

  bool IsFull() {
    const std::lock_guard lock(mutex_);
    return sessions_.size() >= shared_.options.max_connections;
  }

  asio::awaitable<void> Pause() {
    pause_.expires_after(std::chrono::milliseconds(kAcceptPauseMs));
    co_await pause_.async_wait(kNoThrow);
  }

  Shared shared_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  beast::error_code ignored_;
  uint16_t port_ = 0;
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable ended_;
  bool accepting_ = false;
  std::set<SessionPointer> sessions_;
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
