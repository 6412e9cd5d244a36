// SPDX-License-Identifier: Apache-2.0
//
// Bytes to a peer that has gone, on a thread that does not block SIGPIPE as the server's own do:
// one of our programs may use a transport elsewhere.

#include "net/transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/fd.h"
#include "net/fake_http_server.h"
#include "net/server_tls.h"
#include "net/tls_transport.h"

namespace hami::net {
namespace {

using Outcome = Transfer::Outcome;

std::atomic<int> pipe_signals = 0;

// Two ends that never block: ours, and the peer's.
std::array<base::Fd, 2> Ends() {
  int ends[2] = {-1, -1};
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

// The kernel says that the peer has gone at once, or at the second try.
Outcome WriteTwice(Transport* transport) {
  transport->Write("HTTP/1.1 200 OK\r\n", "body");
  return transport->Write("HTTP/1.1 200 OK\r\n", "body").outcome;
}

class TransportTest : public ::testing::Test {
 protected:
  TransportTest() {
    pipe_signals = 0;
    struct sigaction counted = {};
    counted.sa_handler = [](int) { ++pipe_signals; };
    CHECK(::sigaction(SIGPIPE, &counted, &before_) == 0);
    const Status set = tls_.Set(made_.server_certificate, made_.server_key);
    CHECK(set);
  }
  ~TransportTest() override { ::sigaction(SIGPIPE, &before_, nullptr); }

  // Turn by turn, on one thread, until both sides are done.
  void Shake(Transport* server, SSL* client) {
    bool is_served = false;
    for (int i = 0; i < 100; ++i) {
      const bool is_connected = SSL_do_handshake(client) == 1;
      if (!is_served) is_served = server->Greet().outcome == Outcome::kDone;
      if (is_served && is_connected) return;
    }
    FAIL() << "no handshake";
  }

  const FakeCertificates made_ = MakeFakeCertificates();
  ServerTls tls_;
  struct sigaction before_ = {};
};

TEST_F(TransportTest, ThisWouldSeeTheSignal) {
  auto [ours, peer] = Ends();
  peer.Reset();
  (void)!::send(ours.get(), "x", 1, 0);
  EXPECT_EQ(pipe_signals, 1);
}

TEST_F(TransportTest, APlainPeerThatHasGoneIsAnEnd) {
  auto [ours, peer] = Ends();
  PlainTransport transport(std::move(ours));
  peer.Reset();
  EXPECT_EQ(WriteTwice(&transport), Outcome::kEnded);
  transport.SayGoodbye();
  EXPECT_EQ(pipe_signals, 0);
}

TEST_F(TransportTest, ATlsPeerThatHasGoneIsAnEnd) {
  auto [ours, peer] = Ends();
  const std::unique_ptr<Transport> transport =
      MakeTlsTransport(std::move(ours), tls_.Context().get());
  {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const std::unique_ptr<SSL, decltype(&SSL_free)> client(SSL_new(context.get()), SSL_free);
    SSL_set_fd(client.get(), peer.get());
    SSL_set_connect_state(client.get());
    Shake(transport.get(), client.get());
  }
  peer.Reset();
  EXPECT_EQ(WriteTwice(transport.get()), Outcome::kEnded);
  transport->SayGoodbye();
  EXPECT_EQ(pipe_signals, 0);
}

// Before it has said anything that is a handshake: the answer to that has nobody to go to.
TEST_F(TransportTest, ATlsPeerThatGoesWithinTheHandshakeIsAnEnd) {
  for (const char* said : {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello", ""}) {
    auto [ours, peer] = Ends();
    const std::unique_ptr<Transport> transport =
        MakeTlsTransport(std::move(ours), tls_.Context().get());
    (void)!::send(peer.get(), said, std::string(said).size(), MSG_NOSIGNAL);
    peer.Reset();
    EXPECT_EQ(transport->Greet().outcome, Outcome::kEnded) << said;
    EXPECT_EQ(pipe_signals, 0) << said;
  }
}

}  // namespace
}  // namespace hami::net
