// SPDX-License-Identifier: Apache-2.0

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "net/fake_http_server.h"
#include "net/http_server.h"
#include "net/server_tls.h"

namespace hami::net {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kGetAndClose[] = "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

base::Fd Connect(uint16_t port) {
  base::Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

void SendRaw(const base::Fd& fd, std::string_view text) {
  ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

std::string ReceiveRaw(const base::Fd& fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

struct PeerOptions {
  std::string ca;
  int max_version = 0;  // 0: any
  std::string alpn;     // as on the wire
  SSL_SESSION* session = nullptr;
};

// A client that checks who it speaks with.
class TlsPeer {
 public:
  TlsPeer(uint16_t port, const PeerOptions& options)
      : fd_(Connect(port)), context_(SSL_CTX_new(TLS_client_method())), ssl_(nullptr) {
    if (options.max_version != 0) {
      SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_max_proto_version(context_, options.max_version);
    }
    Trust(options.ca);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    ssl_ = SSL_new(context_);
    if (!options.alpn.empty()) {
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                          static_cast<unsigned>(options.alpn.size()));
    }
    if (options.session != nullptr) SSL_set_session(ssl_, options.session);
    SSL_set_fd(ssl_, fd_.get());
    connected_ = SSL_connect(ssl_) == 1;
  }

  ~TlsPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ERR_clear_error();
  }

  bool connected() const { return connected_; }
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  int version() const { return SSL_version(ssl_); }
  bool ended_politely() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }
  SSL_SESSION* TakeSession() { return SSL_get1_session(ssl_); }

  std::string alpn() const {
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &chosen, &size);
    return {reinterpret_cast<const char*>(chosen), size};
  }

  // DER of the certificate that the server showed.
  std::string certificate() const {
    X509* const shown = SSL_get1_peer_certificate(ssl_);
    unsigned char* der = nullptr;
    const int size = i2d_X509(shown, &der);
    std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    X509_free(shown);
    return text;
  }

  TlsPeer& Say(std::string_view text) {
    SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    return *this;
  }
  std::string All() {
    std::string text;
    while (Read(&text)) {
    }
    return text;
  }
  std::string Until(const std::string& end) {
    std::string text;
    while (text.find(end) == std::string::npos && Read(&text)) {
    }
    return text;
  }

 private:
  void Trust(const std::string& ca) {
    BIO* const bio = BIO_new_mem_buf(ca.data(), static_cast<int>(ca.size()));
    X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    CHECK(certificate != nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), certificate);
    X509_free(certificate);
    BIO_free(bio);
  }

  bool Read(std::string* text) {
    char buffer[16384];
    const int got = SSL_read(ssl_, buffer, sizeof(buffer));
    if (got <= 0) return false;
    text->append(buffer, static_cast<size_t>(got));
    return true;
  }

  const base::Fd fd_;
  SSL_CTX* const context_;
  SSL* ssl_;
  bool connected_ = false;
};

class HttpServerTlsTest : public ::testing::Test {
 protected:
  HttpServerTlsTest() {
    signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets that the server has closed
    Use(first_);
  }

  void Use(const FakeCertificates& made) {
    const Status set = tls_.Set(made.server_certificate, made.server_key);
    ASSERT_TRUE(set) << set.error().message;
  }

  void Start(HttpServerOptions options = {}) {
    options.address = "127.0.0.1";
    options.tls = &tls_;
    auto server = HttpServer::Start(
        options, {{"GET", "/ok", [](const ServerRequest&) { return ServerResponse{.body = "ok"}; }},
                  {"POST", "/size", [](const ServerRequest& request) {
                     return ServerResponse{.body = std::to_string(request.body.size())};
                   }}});
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  TlsPeer Peer(PeerOptions options = {}) {
    if (options.ca.empty()) options.ca = first_.ca;
    return TlsPeer(server_->port(), options);
  }

  const FakeCertificates first_ = MakeFakeCertificates();
  const FakeCertificates second_ = MakeFakeCertificates();
  ServerTls tls_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTlsTest, AnswersOverTls12And13AndNothingOlder) {
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer peer = Peer({.max_version = version});
    ASSERT_TRUE(peer.connected()) << version;
    EXPECT_EQ(peer.version(), version);
    EXPECT_THAT(peer.Say(kGet).Until("\r\n\r\nok"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(peer.Say(kGetAndClose).All(), EndsWith("ok")) << "the same connection";
    EXPECT_TRUE(peer.ended_politely()) << "an end can be told from a cut";
  }
  EXPECT_FALSE(Peer({.max_version = TLS1_1_VERSION}).connected());
  EXPECT_FALSE(Peer({.ca = second_.ca}).connected()) << "the test's client checks at all";
}

TEST_F(HttpServerTlsTest, OfAlpnOnlyHttp11IsTaken) {
  Start();
  EXPECT_EQ(Peer({.alpn = "\x02h2\x08http/1.1"}).alpn(), "http/1.1");
  EXPECT_FALSE(Peer({.alpn = "\x02h2"}).connected());
  TlsPeer without = Peer();
  EXPECT_EQ(without.alpn(), "");
  EXPECT_THAT(without.Say(kGetAndClose).All(), EndsWith("ok"));
}

TEST_F(HttpServerTlsTest, SessionsAreResumed) {
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer one = Peer({.max_version = version});
    one.Say(kGetAndClose).All();  // in TLS 1.3 the ticket comes with the first data
    EXPECT_FALSE(one.resumed());
    SSL_SESSION* const session = one.TakeSession();
    TlsPeer two = Peer({.max_version = version, .session = session});
    EXPECT_TRUE(two.connected());
    EXPECT_TRUE(two.resumed()) << version;
    EXPECT_THAT(two.Say(kGetAndClose).All(), EndsWith("ok"));
    SSL_SESSION_free(session);
  }
}

TEST_F(HttpServerTlsTest, ANewCertificateIsForNewConnectionsOnly) {
  Start();
  TlsPeer kept = Peer();
  kept.Say(kGet).Until("\r\n\r\nok");
  const std::string before = kept.certificate();
  Use(second_);
  TlsPeer fresh = Peer({.ca = second_.ca});
  ASSERT_TRUE(fresh.connected());
  EXPECT_NE(fresh.certificate(), before);
  EXPECT_FALSE(Peer().connected()) << "the first authority did not sign it";
  EXPECT_THAT(kept.Say(kGetAndClose).All(), EndsWith("ok")) << "what was there goes on";
}

TEST_F(HttpServerTlsTest, ReloadUnderLoadFailsNoRequest) {
  Start({.threads = 2});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::future<int>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::async(std::launch::async, [&, i] {
      int done = 0;
      while (!stop) {
        // Either authority may be the current one.
        auto peer = std::make_unique<TlsPeer>(server_->port(), PeerOptions{.ca = first_.ca});
        if (!peer->connected()) {
          peer = std::make_unique<TlsPeer>(server_->port(), PeerOptions{.ca = second_.ca});
        }
        if (!peer->connected()) continue;  // changed between the two
        for (int n = 0; n <= i * 3; ++n, ++done) {
          if (peer->Say(kGet).Until("\r\n\r\nok").empty()) ++failed;
        }
      }
      return done;
    }));
  }
  for (int i = 0; i < 60; ++i) Use(i % 2 == 0 ? second_ : first_);
  stop = true;
  int done = 0;
  for (auto& client : clients) done += client.get();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(done, 0);
}

TEST_F(HttpServerTlsTest, WhatIsNotTlsIsTurnedAway) {
  Start();
  const base::Fd plain = Connect(server_->port());
  SendRaw(plain, kGet);
  EXPECT_THAT(ReceiveRaw(plain), AllOf(HasSubstr("400 Bad Request"), HasSubstr("HTTPS")));
  for (const std::string_view text :
       {std::string_view("\x80\x2e\x01\x03\x01", 5), std::string_view("SSH-2.0-x\r\n"),
        std::string_view("\x16\x03\x01\xff\xff\x01\xff\xff\xff", 9)}) {
    const base::Fd fd = Connect(server_->port());
    SendRaw(fd, text);
    ::shutdown(fd.get(), SHUT_WR);
    EXPECT_THAT(ReceiveRaw(fd), ::testing::Not(HasSubstr("HTTP/1.1"))) << text;
  }
  EXPECT_THAT(Peer().Say(kGetAndClose).All(), EndsWith("ok"));
}

TEST_F(HttpServerTlsTest, SlowPeersKeepNobodyWaitingAndAreLeft) {
  Start({.handshake_timeout_ms = 2'000});  // enough for one, however busy the host is
  std::vector<base::Fd> slow;
  for (int i = 0; i < 64; ++i) {
    slow.push_back(Connect(server_->port()));
    // The first bytes of a ClientHello.
    if (i % 2 == 0) SendRaw(slow.back(), std::string_view("\x16\x03\x01\x02", 4));
  }
  EXPECT_THAT(Peer().Say(kGetAndClose).All(), EndsWith("ok"));
  for (const base::Fd& fd : slow) ReceiveRaw(fd);  // returns when the server has given up
}

TEST_F(HttpServerTlsTest, WithoutACertificateConnectionsEnd) {
  ServerTls none;
  auto server = HttpServer::Start(
      {.address = "127.0.0.1", .tls = &none},
      {{"GET", "/ok", [](const ServerRequest&) { return ServerResponse{.body = "ok"}; }}});
  ASSERT_TRUE(server);
  EXPECT_FALSE(none.IsSet());
  EXPECT_EQ(none.ExpiresAtS(), std::nullopt);
  EXPECT_FALSE(TlsPeer((*server)->port(), {.ca = first_.ca}).connected());
  ASSERT_TRUE(none.Set(first_.server_certificate, first_.server_key));
  EXPECT_THAT(TlsPeer((*server)->port(), {.ca = first_.ca}).Say(kGetAndClose).All(),
              EndsWith("ok"));
}

TEST_F(HttpServerTlsTest, WhatCannotBeServedIsRefusedAndTheOldStays) {
  Start();
  for (const auto& [certificate, key] : std::vector<std::pair<std::string, std::string>>{
           {first_.server_certificate, second_.server_key},
           {first_.server_certificate, ""},
           {"", first_.server_key},
           {first_.server_key, first_.server_certificate},
           {first_.server_certificate.substr(0, 200), first_.server_key}}) {
    const Status set = tls_.Set(certificate, key);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, Code::kInvalidArgument);
  }
  EXPECT_EQ(tls_.Set(first_.server_certificate, second_.server_key).error().message,
            "the key is not that of the certificate: key values mismatch");
  EXPECT_THAT(Peer().Say(kGetAndClose).All(), EndsWith("ok"));
}

TEST_F(HttpServerTlsTest, KnowsWhenTheCertificateEnds) {
  const int64_t in_30_days = time(nullptr) + int64_t{30} * 24 * 3600;
  ASSERT_TRUE(tls_.ExpiresAtS());
  EXPECT_NEAR(static_cast<double>(*tls_.ExpiresAtS()), static_cast<double>(in_30_days), 60);
}

TEST_F(HttpServerTlsTest, LargeBodiesAndManyRequestsAtOnce) {
  Start({.max_body_bytes = 4 << 20});
  const std::string body(3 << 20, 'x');
  TlsPeer peer = Peer();
  peer.Say("POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body);
  EXPECT_THAT(peer.Until("\r\n\r\n3145728"), EndsWith("3145728"));
  EXPECT_THAT(peer.Say(std::string(kGet) + kGet + kGetAndClose).All(), EndsWith("ok"));
  EXPECT_THAT(Peer().Say("POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n").All(),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTlsTest, StopEndsIdleConnectionsAndHandshakes) {
  Start();
  TlsPeer idle = Peer();
  idle.Say(kGet).Until("\r\n\r\nok");
  const base::Fd half = Connect(server_->port());
  SendRaw(half, std::string_view("\x16\x03\x01\x02", 4));
  server_->Stop(10);
  EXPECT_EQ(idle.All(), "");
  EXPECT_EQ(ReceiveRaw(half), "");
}

}  // namespace
}  // namespace hami::net
