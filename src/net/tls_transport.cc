// SPDX-License-Identifier: Apache-2.0

#include "net/tls_transport.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/freed.h"

namespace hami::net {
namespace {

using Outcome = Transfer::Outcome;

constexpr size_t kRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;
constexpr std::string_view kNotTls =
    "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis port speaks HTTPS\n";

// --- A socket as OpenSSL sees it. Its own writes with write(2), and a peer that has gone would
// end the process (SIGPIPE); one of our programs may not ignore that signal. ---

int FdOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

bool IsForLater() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int BioRead(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(FdOf(bio), into, static_cast<size_t>(size), 0);
  if (got < 0 && IsForLater()) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

int BioWrite(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(FdOf(bio), from, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && IsForLater()) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

long BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* SocketMethod() {
  using Method = std::unique_ptr<BIO_METHOD, base::Freed<BIO_meth_free>>;
  static const Method method = [] {
    Method made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket"));
    CHECK(made != nullptr);
    BIO_meth_set_read(made.get(), BioRead);
    BIO_meth_set_write(made.get(), BioWrite);
    BIO_meth_set_ctrl(made.get(), BioControl);
    return made;
  }();
  return method.get();
}

class TlsTransport : public Transport {
 public:
  TlsTransport(base::Fd fd, SSL_CTX* identity) : Transport(std::move(fd)), ssl_(SSL_new(identity)) {
    CHECK(ssl_ != nullptr);
    BIO* const bio = BIO_new(SocketMethod());
    CHECK(bio != nullptr);
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(this->fd())));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    // A record and its length by one call; hence HasUnread.
    SSL_set_read_ahead(ssl_.get(), 1);
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_accept_state(ssl_.get());
  }

  Transfer Greet() override {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return {};
    const Outcome outcome = OutcomeOf(result);
    if (outcome != Outcome::kEnded) return {.outcome = outcome};
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_HTTP_REQUEST) {
      (void)!::send(fd(), kNotTls.data(), kNotTls.size(), MSG_NOSIGNAL);
    }
    EndSending();
    return {.outcome = outcome};
  }

  Transfer Read(char* into, size_t size) override {
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), into, size, &got);
    if (result == 1) return {.bytes = got};
    return {.outcome = OutcomeOf(result)};
  }

  Transfer Write(std::string_view first, std::string_view second) override {
    ERR_clear_error();
    std::string_view text = first;
    if (first.empty()) {
      text = second;
    } else if (!second.empty() && first.size() < kRecordBytes) {
      // One record is one call and one packet.
      record_.assign(first);
      record_.append(second.substr(0, kRecordBytes - first.size()));
      text = record_;
    }
    size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), text.data(), text.size(), &sent);
    if (result == 1) return {.bytes = sent};
    return {.outcome = OutcomeOf(result)};
  }

  bool HasUnread() const override { return SSL_has_pending(ssl_.get()) == 1; }

  void SayGoodbye() override {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    EndSending();
  }

 private:
  Outcome OutcomeOf(int result) const {
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return Outcome::kWaitsToRead;
      case SSL_ERROR_WANT_WRITE:
        return Outcome::kWaitsToWrite;
      default:
        return Outcome::kEnded;
    }
  }

  const std::unique_ptr<SSL, base::Freed<SSL_free>> ssl_;
  std::string record_;
};

}  // namespace

std::unique_ptr<Transport> MakeTlsTransport(base::Fd fd, ssl_ctx_st* identity) {
  return std::make_unique<TlsTransport>(std::move(fd), identity);
}

}  // namespace hami::net
