// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows Boost.

#include "net/http_server.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>

#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 with the address sanitizer sees one in Beast's use of boost::optional, wrongly.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
// The thread sanitizer does not know Asio's fences. What they order is behind mutexes too.
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <type_traits>

#include "base/clock.h"
#include "base/log.h"
#include "net/http_router.h"

namespace hami::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;

using Parser = http::request_parser<http::string_body>;
using Answer = http::response<http::string_body>;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr int64_t kAcceptPauseMs = 20;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// What all sessions share.
struct Shared {
  Shared(const HttpServerOptions& options_given, std::vector<Route> routes)
      : options(options_given), router(std::move(routes)) {}

  const HttpServerOptions options;
  const HttpRouter router;
  std::atomic<bool> stopping{false};
};

// One connection: a coroutine on a strand of its own. The virtual functions are called there.
class Session {
 public:
  virtual ~Session() = default;

  // Until the connection ends.
  virtual asio::awaitable<void> Run() = 0;
  virtual void EndIfIdle() = 0;
  virtual void End() = 0;
  // Any thread: since when it has waited for its peer's bytes, by the monotonic clock; 0: it works.
  virtual int64_t WaitingSinceNs() const = 0;
  virtual beast::tcp_stream::executor_type executor() = 0;

  bool is_leaving = false;  // the server's, under its lock
};

using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

template <typename Stream>
class SessionOn : public Session {
 public:
  static constexpr bool kHasTls = std::is_same_v<Stream, TlsStream>;

  SessionOn(tcp::socket socket, const Shared& shared)
    requires(!kHasTls)
      : stream_(std::move(socket)), shared_(shared) {}
  SessionOn(tcp::socket socket, const Shared& shared, std::unique_ptr<ssl::context> tls)
    requires kHasTls
      : tls_(std::move(tls)), stream_(std::move(socket), *tls_), shared_(shared) {}

  asio::awaitable<void> Run() override {
    ignored_ = lowest().socket().set_option(tcp::no_delay(true), ignored_);
    BeginWaiting();
    // g++ 12 breaks co_await inside of && and ?: (a ud2 stands there): one a statement.
    bool goes_on = co_await Greet();
    while (goes_on && !shared_.stopping) {
      goes_on = co_await WaitForRequest();
      if (goes_on) goes_on = co_await ServeOne();
    }
    if (parts_politely_) co_await TakeLeave();
    ignored_ = lowest().socket().shutdown(tcp::socket::shutdown_send, ignored_);
    lowest().close();
  }

  void EndIfIdle() override {
    if (idle_) lowest().close();
  }
  void End() override { lowest().close(); }
  int64_t WaitingSinceNs() const override { return waiting_since_ns_; }

  beast::tcp_stream::executor_type executor() override { return lowest().get_executor(); }

 private:
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

  // The handshake.
  asio::awaitable<bool> Greet() {
    if constexpr (kHasTls) {
      Limit(shared_.options.handshake_timeout_ms);
      const auto [error] = co_await stream_.async_handshake(ssl::stream_base::server, kNoThrow);
      if (!error) co_return true;
      if (error.category() == asio::error::get_ssl_category() &&
          ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST) {
        static constexpr std::string_view kAnswer =
            "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis port speaks HTTPS\n";
        co_await lowest().async_write_some(asio::buffer(kAnswer), kNoThrow);
      }
      co_return false;
    }
    co_return true;
  }

  // Says that nothing more comes, so that the peer knows it from a cut.
  asio::awaitable<void> TakeLeave() {
    if constexpr (kHasTls) {
      Limit(kLeaveMs);
      co_await stream_.async_shutdown(kNoThrow);
    }
    co_return;
  }

  // False when none comes.
  asio::awaitable<bool> WaitForRequest() {
    if (buffer_.size() > 0) co_return true;  // it came with the last one
    idle_ = true;
    BeginWaiting();
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
      if (refusal) {
        co_await Write(*refusal, parser.get(), /*keep_alive=*/false);
        co_await Discard();
      }
      co_return false;
    }
    const http::request<http::string_body>& request = parser.get();
    waiting_since_ns_ = 0;
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
    if (error == http::error::header_limit) return PlainResponse(431, "the header is too large");
    if (error == http::error::body_limit) return PlainResponse(413, "the body is too large");
    if (error == beast::error::timeout || error == http::error::end_of_stream ||
        error == http::error::partial_message || error.category() != BadRequests()) {
      return std::nullopt;
    }
    return PlainResponse(400, "not HTTP: " + error.message());
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
    parts_politely_ = !error && !keep_alive;
    co_return !error && keep_alive;
  }

  // Takes what is still coming of a request that was refused: to close before that resets the
  // connection, and the peer may lose the answer.
  asio::awaitable<void> Discard() {
    Limit(kLeaveMs);
    buffer_.clear();
    for (size_t left = kMostDiscarded;;) {
      const auto [error, size] =
          co_await stream_.async_read_some(buffer_.prepare(kFirstRead), kNoThrow);
      if (error || size >= left) co_return;
      left -= size;
    }
  }

  void BeginWaiting() { waiting_since_ns_ = base::SystemClock().MonotonicNs(); }

  void Limit(int64_t timeout_ms) { lowest().expires_after(std::chrono::milliseconds(timeout_ms)); }

  static constexpr size_t kFirstRead = 16384;
  static constexpr int64_t kLeaveMs = 1000;
  static constexpr size_t kMostDiscarded = 64 << 20;

  const std::unique_ptr<ssl::context> tls_;  // none without TLS
  Stream stream_;
  beast::flat_buffer buffer_;
  const Shared& shared_;
  beast::error_code ignored_;
  std::atomic<int64_t> waiting_since_ns_{0};
  bool idle_ = false;
  bool parts_politely_ = false;
  int served_ = 0;
};

// Null: there is no certificate yet.
std::shared_ptr<Session> MakeSession(tcp::socket socket, const Shared& shared) {
  if (shared.options.tls == nullptr) {
    return std::make_shared<SessionOn<PlainStream>>(std::move(socket), shared);
  }
  const std::shared_ptr<SSL_CTX> identity = shared.options.tls->Context();
  if (identity == nullptr) return nullptr;
  SSL_CTX_up_ref(identity.get());
  return std::make_shared<SessionOn<TlsStream>>(std::move(socket), shared,
                                                std::make_unique<ssl::context>(identity.get()));
}

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
      auto [error, socket] = co_await acceptor_.async_accept(asio::make_strand(io_), kNoThrow);
      if (error == asio::error::operation_aborted) break;
      if (error) {
        // No descriptors are left, or the like: whoever waits in the queue waits a little longer.
        LOG_WARN_EVERY(30'000, "a connection was not accepted", Field("error", error.message()));
        co_await Pause(kAcceptPauseMs);
        continue;
      }
      bool has_room = MakeRoom();
      while (!has_room && !shared_.stopping) {
        co_await Pause(kAcceptPauseMs);
        has_room = MakeRoom();
      }
      const SessionPointer session = MakeSession(std::move(socket), shared_);
      if (session != nullptr) {
        Begin(session);
      } else {
        LOG_WARN_EVERY(30'000, "a connection was ended: the server has no certificate yet");
      }
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

  // For one more session: so that nobody keeps others out by holding connections, the one that has
  // waited longest ends. False: all have work to do.
  bool MakeRoom() {
    const std::lock_guard lock(mutex_);
    if (sessions_.size() < shared_.options.max_connections) return true;
    SessionPointer longest;
    size_t staying = 0;
    int64_t since_ns = 0;
    for (const SessionPointer& session : sessions_) {
      if (session->is_leaving) continue;
      ++staying;
      const int64_t its_ns = session->WaitingSinceNs();
      if (its_ns == 0 || (longest != nullptr && its_ns >= since_ns)) continue;
      longest = session;
      since_ns = its_ns;
    }
    if (staying < shared_.options.max_connections) return true;
    if (longest == nullptr) return false;
    LOG_WARN_EVERY(30'000, "the HTTP server is full: who waited longest was sent away",
                   Field("connections", staying));
    longest->is_leaving = true;
    asio::post(longest->executor(), [longest] { longest->End(); });
    return true;
  }

  asio::awaitable<void> Pause(int64_t pause_ms) {
    pause_.expires_after(std::chrono::milliseconds(pause_ms));
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
