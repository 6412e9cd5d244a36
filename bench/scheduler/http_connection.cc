// SPDX-License-Identifier: Apache-2.0

#include "bench/scheduler/http_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace hami::bench {
namespace {

constexpr size_t kReadBytes = 256 << 10;

[[noreturn]] void Fail(std::string_view what) {
  fmt::print(stderr, "scheduler_calls: {}\n", what);
  std::exit(1);
}

bool StartsWithName(std::string_view line, std::string_view name) {
  return line.size() > name.size() && strncasecmp(line.data(), name.data(), name.size()) == 0;
}

}  // namespace

HttpConnection::HttpConnection(const Endpoint& endpoint)
    : host_(fmt::format("{}:{}", endpoint.address, endpoint.port)) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(endpoint.port));
  if (::inet_pton(AF_INET, endpoint.address.c_str(), &address.sin_addr) != 1 ||
      ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    Fail("no connection to " + host_);
  }
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (!endpoint.tls) return;
  context_ = SSL_CTX_new(TLS_client_method());
  if (!endpoint.authority.empty()) {
    if (SSL_CTX_load_verify_locations(context_, endpoint.authority.c_str(), nullptr) != 1) {
      Fail("cannot read " + endpoint.authority);
    }
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  }
  if (!endpoint.certificate.empty() &&
      (SSL_CTX_use_certificate_file(context_, endpoint.certificate.c_str(), SSL_FILETYPE_PEM) !=
           1 ||
       SSL_CTX_use_PrivateKey_file(context_, endpoint.key.c_str(), SSL_FILETYPE_PEM) != 1)) {
    Fail("cannot read " + endpoint.certificate);
  }
  tls_ = SSL_new(context_);
  SSL_set_fd(tls_, socket_);
  if (SSL_connect(tls_) != 1) Fail("no TLS with " + host_);
}

HttpConnection::~HttpConnection() {
  SSL_free(tls_);
  SSL_CTX_free(context_);
  ::close(socket_);
}

void HttpConnection::Send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = tls_ != nullptr
                             ? SSL_write(tls_, text.data(), static_cast<int>(text.size()))
                             : ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) Fail("the connection broke while sending");
    text.remove_prefix(static_cast<size_t>(sent));
  }
}

void HttpConnection::Receive() {
  if (used_ == received_.size()) {
    received_.clear();
    used_ = 0;
  }
  const size_t before = received_.size();
  received_.resize(before + kReadBytes);
  const ssize_t got = tls_ != nullptr
                          ? SSL_read(tls_, received_.data() + before, static_cast<int>(kReadBytes))
                          : ::recv(socket_, received_.data() + before, kReadBytes, 0);
  if (got <= 0) Fail("the connection broke while receiving");
  received_.resize(before + static_cast<size_t>(got));
}

std::string_view HttpConnection::NeedLine() {
  for (;;) {
    const size_t end = received_.find("\r\n", used_);
    if (end != std::string::npos) {
      const std::string_view line(received_.data() + used_, end - used_);
      used_ = end + 2;
      return line;
    }
    Receive();
  }
}

void HttpConnection::NeedBytes(size_t count, std::string* into) {
  while (count > 0) {
    if (used_ == received_.size()) Receive();
    const size_t part = std::min(count, received_.size() - used_);
    into->append(received_, used_, part);
    used_ += part;
    count -= part;
  }
}

void HttpConnection::ReadChunks(std::string* answer) {
  for (;;) {
    const size_t size = std::strtoul(std::string(NeedLine()).c_str(), nullptr, 16);
    NeedBytes(size, answer);
    NeedLine();
    if (size == 0) return;
  }
}

int HttpConnection::Post(std::string_view path, std::string_view body, std::string_view rest,
                         std::string* answer) {
  head_.clear();
  fmt::format_to(std::back_inserter(head_),
                 "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n"
                 "Content-Length: {}\r\n\r\n",
                 path, host_, body.size() + rest.size());
  head_ += body;
  head_ += rest;
  Send(head_);
  const std::string_view first = NeedLine();
  const int status = first.size() > 12 ? std::atoi(std::string(first.substr(9, 3)).c_str()) : 0;
  size_t length = 0;
  bool chunked = false;
  for (std::string_view line = NeedLine(); !line.empty(); line = NeedLine()) {
    if (StartsWithName(line, "content-length:")) {
      length = std::strtoul(std::string(line.substr(15)).c_str(), nullptr, 10);
    }
    chunked = chunked || (StartsWithName(line, "transfer-encoding:") &&
                          line.find("chunked") != std::string_view::npos);
  }
  answer->clear();
  if (chunked) {
    ReadChunks(answer);
  } else {
    NeedBytes(length, answer);
  }
  return status;
}

}  // namespace hami::bench
