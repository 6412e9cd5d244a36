// SPDX-License-Identifier: Apache-2.0

#include "net/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/fd.h"

namespace hami::net {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A client that says what it likes.
class Peer {
 public:
  explicit Peer(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    CHECK(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }

  Peer& Say(const std::string& text) {
    ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return *this;
  }

  // False when the server has ended the connection, or takes nothing for half a minute.
  bool TrySay(const std::string& text) {
    const timeval patience = {.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    EXPECT_FALSE(sent < 0 && errno == EAGAIN) << "the server keeps a peer that does not read";
    return sent >= 0;
  }

  // Everything until the server ends the connection.
  std::string All() {
    std::string text;
    while (Read(&text)) {
    }
    return text;
  }

  // Until the text is there.
  std::string Until(const std::string& end) {
    std::string text;
    while (text.find(end) == std::string::npos && Read(&text)) {
    }
    return text;
  }

 private:
  bool Read(std::string* text) {
    char buffer[65536];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    text->append(buffer, static_cast<size_t>(got));
    return true;
  }

  const base::Fd fd_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpServerOptions options, std::vector<Route> more = {}) {
    options.address = "127.0.0.1";
    more.push_back(
        {"GET", "/ok", [](const ServerRequest&) { return ServerResponse{.body = "ok"}; }});
    more.push_back(
        {"POST", "/echo", [](const ServerRequest& request) {
           std::string text(request.method);
           text.append(" ").append(request.query).append(" ");
           text.append(request.header("x-name")).append(" ").append(request.body);
           return ServerResponse{
               .status = 201, .content_type = "text/x", .body = text, .headers = {{"X-Made", "1"}}};
         }});
    more.push_back({"GET", "/throw", [](const ServerRequest&) -> ServerResponse {
                      throw std::runtime_error("secret detail");
                    }});
    auto server = HttpServer::Start(options, std::move(more));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  std::string Ask(const std::string& text) { return Peer(server_->port()).Say(text).All(); }

  std::unique_ptr<HttpServer> server_;
};

constexpr char kGet[] = "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kGetAndClose[] = "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST_F(HttpServerTest, AnswersByMethodAndPath) {
  Start({});
  EXPECT_THAT(Ask(kGetAndClose), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                       HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"),
                                       HasSubstr("Content-Length: 2\r\n"), EndsWith("\r\n\r\nok")));
  EXPECT_THAT(Ask("POST /echo?a=b&c HTTP/1.1\r\nHost: x\r\nX-NAME: n\r\nContent-Length: 4\r\n"
                  "Connection: close\r\n\r\nbody"),
              AllOf(StartsWith("HTTP/1.1 201 "), HasSubstr("X-Made: 1\r\n"),
                    HasSubstr("Content-Type: text/x\r\n"), EndsWith("POST a=b&c n body")));
  EXPECT_THAT(Ask("GET /no HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.0 404 "));
  EXPECT_THAT(Ask("DELETE /ok HTTP/1.0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.0 405 "), HasSubstr("Allow: GET\r\n")));
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  Start({});
  EXPECT_THAT(Ask("HEAD /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              AllOf(HasSubstr("Content-Length: 2\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(HttpServerTest, AHandlersExceptionIsA500WithoutItsText) {
  Start({});
  EXPECT_THAT(Ask("GET /throw HTTP/1.0\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.0 500 "), Not(HasSubstr("secret"))));
}

TEST_F(HttpServerTest, OneConnectionManyRequests) {
  Start({});
  Peer peer(server_->port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(peer.Say(kGet).Until("\r\n\r\nok"), StartsWith("HTTP/1.1 200 "));
  }
  // Sent at once, answered in order.
  EXPECT_THAT(
      peer.Say(std::string(kGet) + "GET /no HTTP/1.1\r\nHost: x\r\n\r\n" + kGetAndClose).All(),
      AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("HTTP/1.1 404 "), EndsWith("ok")));
}

TEST_F(HttpServerTest, SizesAreLimited) {
  Start({.max_header_bytes = 1000, .max_body_bytes = 10});
  EXPECT_THAT(Ask("GET /ok HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nContent-Length: 11\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(
      Ask("POST /echo HTTP/1.1\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789"),
      StartsWith("HTTP/1.1 201 "));
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefused) {
  Start({});
  for (const char* text : {"\x16\x03\x01\x02\x01\x01\r\n\r\n", "GET\r\n\r\n", "hello\r\n\r\n",
                           "GET /ok HTTP/3.0\r\n\r\n", "GET /ok HTTP/1.1\r\nbad header\r\n\r\n"}) {
    EXPECT_THAT(Ask(text), StartsWith("HTTP/1.1 400 ")) << text;
  }
}

TEST_F(HttpServerTest, A100ContinueComesBeforeTheBody) {
  Start({});
  Peer peer(server_->port());
  peer.Say(
      "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
      "Connection: close\r\n\r\n");
  EXPECT_THAT(peer.Until("\r\n\r\n"), StartsWith("HTTP/1.1 100 "));
  EXPECT_THAT(peer.Say("xy").All(), EndsWith(" xy"));
}

TEST_F(HttpServerTest, EveryPhaseHasADeadline) {
  // One at a time: a busy host may keep this test from what it says within the others.
  Start({.header_timeout_ms = 30});
  EXPECT_EQ(Ask(""), "") << "nothing is said";
  EXPECT_EQ(Ask("GET /ok HT"), "") << "half a header";
  Start({.body_timeout_ms = 30});
  EXPECT_EQ(Ask("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\n12"), "") << "half a body";
  Start({.idle_timeout_ms = 30});
  EXPECT_THAT(Ask(kGet), EndsWith("ok")) << "nothing more after a request";
}

TEST_F(HttpServerTest, APeerThatDoesNotReadIsLeft) {
  Start({.write_timeout_ms = 30}, {{"GET", "/large", [](const ServerRequest&) {
                                      return ServerResponse{.body = std::string(50 << 20, 'x')};
                                    }}});
  Peer peer(server_->port());
  peer.Say("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").Until("\r\n\r\n");
  // Returns when the server has given up on it; what the kernel holds is still delivered.
  server_->Stop(60'000);
  EXPECT_LT(peer.All().size(), size_t{50} << 20);
}

// Its answers fill the kernel's buffers, then nothing more of it is read: neither requests nor
// answers pile up here, and its time runs out.
TEST_F(HttpServerTest, APeerThatPipelinesAndReadsNothingIsLeft) {
  constexpr size_t kAnswerBytes = 1 << 20;
  // Both far more than two sockets hold.
  constexpr size_t kMostBytes = 64 << 20;
  constexpr size_t kMostAnswers = 32;
  std::atomic<size_t> answered = 0;
  Start({.write_timeout_ms = 100},
        {{"GET", "/large", [&answered](const ServerRequest&) {
            ++answered;
            return ServerResponse{.body = std::string(kAnswerBytes, 'x')};
          }}});
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
  Peer peer(server_->port());
  size_t said = 0;
  while (said < kMostBytes && peer.TrySay(many)) said += many.size();
  EXPECT_LT(said, kMostBytes) << "requests were taken without an end";
  EXPECT_GT(answered, 0U);
  EXPECT_LT(answered, kMostAnswers) << "answers were made that nobody takes";
  EXPECT_THAT(Ask(kGetAndClose), EndsWith("ok")) << "others are served";
  server_->Stop(0);  // nobody counts any more
}

TEST_F(HttpServerTest, SlowPeersKeepNobodyWaiting) {
  Start({});
  std::vector<std::unique_ptr<Peer>> slow;
  for (int i = 0; i < 64; ++i) {
    slow.push_back(std::make_unique<Peer>(server_->port()));
    slow.back()->Say("GET /ok HTTP/1.1\r\n");
  }
  EXPECT_THAT(Ask(kGetAndClose), EndsWith("ok"));
}

TEST_F(HttpServerTest, BeyondTheLimitWhoWaitedLongestGoes) {
  Start({.max_connections = 3});
  Peer oldest(server_->port());
  oldest.Say(kGet).Until("\r\n\r\nok");
  Peer half(server_->port());
  half.Say("GET /ok HT");
  Peer young(server_->port());
  young.Say(kGet).Until("\r\n\r\nok");
  Peer fresh(server_->port());
  EXPECT_THAT(fresh.Say(kGet).Until("\r\n\r\nok"), EndsWith("ok"));
  EXPECT_EQ(oldest.All(), "");
  Peer another(server_->port());
  EXPECT_THAT(another.Say(kGet).Until("\r\n\r\nok"), EndsWith("ok"));
  EXPECT_EQ(half.All(), "") << "half a request is no work";
  EXPECT_THAT(young.Say(kGetAndClose).All(), EndsWith("ok")) << "the others stay";
}

TEST_F(HttpServerTest, NobodyCanHoldAllConnections) {
  Start({.max_connections = 8});
  std::vector<std::unique_ptr<Peer>> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<Peer>(server_->port()));
  EXPECT_THAT(Ask(kGetAndClose), EndsWith("ok"));
}

TEST_F(HttpServerTest, WhileAllWorkConnectionsBeyondTheLimitWait) {
  std::promise<void> entered;
  std::promise<void> go_on;
  Start({.threads = 2, .max_connections = 1}, {{"GET", "/slow", [&](const ServerRequest&) {
                                                  entered.set_value();
                                                  go_on.get_future().wait();
                                                  return ServerResponse{.body = "done"};
                                                }}});
  Peer busy(server_->port());
  busy.Say("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  entered.get_future().wait();
  auto second = std::async(std::launch::async, [this] { return Ask(kGetAndClose); });
  EXPECT_EQ(second.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  go_on.set_value();
  EXPECT_THAT(busy.All(), EndsWith("done"));
  EXPECT_THAT(second.get(), EndsWith("ok"));
}

TEST_F(HttpServerTest, StopLetsARequestFinishAndEndsIdleConnections) {
  std::promise<void> entered;
  std::promise<void> go_on;
  Start({.threads = 2}, {{"GET", "/slow", [&](const ServerRequest&) {
                            entered.set_value();
                            go_on.get_future().wait();
                            return ServerResponse{.body = "done"};
                          }}});
  Peer idle(server_->port());
  idle.Say(kGet).Until("\r\n\r\nok");
  Peer busy(server_->port());
  busy.Say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.get_future().wait();

  auto stopped = std::async(std::launch::async, [this] { server_->Stop(60'000); });
  EXPECT_EQ(idle.All(), "");
  go_on.set_value();
  EXPECT_THAT(busy.All(), AllOf(HasSubstr("Connection: close\r\n"), EndsWith("done")));
  stopped.get();
}

TEST_F(HttpServerTest, StopEndsWhatTakesLonger) {
  Start({});
  Peer half(server_->port());
  half.Say("POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
      .Until("\r\n\r\n");
  server_->Stop(10);
  EXPECT_EQ(half.All(), "");
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  Start({});
  const auto again = HttpServer::Start({.address = "127.0.0.1", .port = server_->port()}, {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
  EXPECT_EQ(HttpServer::Start({.address = "localhost"}, {}).error().code, Code::kInvalidArgument);
}

TEST_F(HttpServerTest, ManyClientsOnSeveralThreads) {
  std::atomic<int> calls{0};
  Start({.threads = 3}, {{"GET", "/count", [&calls](const ServerRequest&) {
                            ++calls;
                            return ServerResponse{};
                          }}});
  std::vector<std::future<void>> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::async(std::launch::async, [this] {
      Peer peer(server_->port());
      for (int n = 0; n < 50; ++n) {
        peer.Say("GET /count HTTP/1.1\r\nHost: x\r\n\r\n").Until("\r\n\r\n");
      }
    }));
  }
  for (auto& client : clients) client.get();
  EXPECT_EQ(calls, 400);
}

}  // namespace
}  // namespace hami::net
