// SPDX-License-Identifier: Apache-2.0
//
// Any bytes on a connection to the HTTP server. What must hold: no read outside, no hang; what
// comes back begins as an answer does, or is nothing; a handler sees only whole requests to its own
// path.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace {

namespace net = hami::net;

constexpr size_t kBodyBytes = 4096;

net::ServerResponse Handle(const net::ServerRequest& request) {
  if (request.path != "/filter" || request.method != "POST") abort();
  if (request.body.size() > kBodyBytes) abort();
  (void)request.header("content-type");
  return {.body = std::string(request.body)};
}

// Lives as long as the process.
net::HttpServer& Server() {
  static const std::unique_ptr<net::HttpServer> server = [] {
    auto started = net::HttpServer::Start({.address = "127.0.0.1",
                                           .max_header_bytes = 2048,
                                           .max_body_bytes = kBodyBytes,
                                           .idle_timeout_ms = 1'000,
                                           .header_timeout_ms = 1'000,
                                           .body_timeout_ms = 1'000},
                                          {{"POST", "/filter", Handle}});
    if (!started) abort();
    return std::move(*started);
  }();
  return *server;
}

int Connect() {
  const int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit = {.tv_sec = 5, .tv_usec = 0};
  setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  // A reset at the end: no port stays busy for a minute.
  const linger none = {.l_onoff = 1, .l_linger = 0};
  setsockopt(peer, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(Server().port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(peer, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) abort();
  return peer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const int peer = Connect();
  // Who refuses may stop reading.
  if (bytes > 0) (void)!send(peer, data, bytes, MSG_NOSIGNAL);
  shutdown(peer, SHUT_WR);
  std::string answer;
  char part[4096];
  ssize_t got = 0;
  while ((got = recv(peer, part, sizeof(part), 0)) > 0) {
    answer.append(part, static_cast<size_t>(got));
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) abort();  // it neither answers nor ends
  close(peer);
  const std::string_view begin = std::string_view(answer).substr(0, 7);
  if (!answer.empty() && begin != "HTTP/1.") abort();
  return 0;
}
