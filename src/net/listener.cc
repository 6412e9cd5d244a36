// SPDX-License-Identifier: Apache-2.0

#include "net/listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace hami::net {
namespace {

struct Endpoint {
  sockaddr_storage address = {};
  socklen_t size = 0;
};

// Of digits alone: no name is looked up. IPv6 may have a scope ("fe80::1%eth0").
std::optional<Endpoint> ReadEndpoint(const std::string& text, uint16_t port) {
  Endpoint endpoint;
  sockaddr_in v4 = {};
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&endpoint.address, &v4, sizeof(v4));
    endpoint.size = sizeof(v4);
    return endpoint;
  }
  addrinfo hints = {};
  hints.ai_family = AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (::getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
  sockaddr_in6 v6 = {};
  std::memcpy(&v6, found->ai_addr, sizeof(v6));
  ::freeaddrinfo(found);
  v6.sin6_port = htons(port);
  std::memcpy(&endpoint.address, &v6, sizeof(v6));
  endpoint.size = sizeof(v6);
  return endpoint;
}

uint16_t PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
}

}  // namespace

Status Listener::Open(const std::string& address, uint16_t port) {
  const std::optional<Endpoint> endpoint = ReadEndpoint(address, port);
  if (!endpoint) {
    return Fail(Code::kInvalidArgument, fmt::format("\"{}\" is no IP address", address));
  }
  const std::string what = fmt::format("listen on {} port {}", address, port);
  base::Fd fd(::socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  const auto* const where = reinterpret_cast<const sockaddr*>(&endpoint->address);
  const bool listens =
      fd.valid() && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
      ::bind(fd.get(), where, endpoint->size) == 0 && ::listen(fd.get(), SOMAXCONN) == 0;
  if (!listens && errno == EADDRINUSE) {
    return Fail(Code::kAlreadyExists, fmt::format("port {} is in use", port));
  }
  if (!listens) return FailErrno(what);
  port_ = PortOf(fd.get());
  fd_ = std::move(fd);
  return {};
}

Result<base::Fd> Listener::Accept() {
  while (fd_.valid()) {
    base::Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      const int yes = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      return fd;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    // It went before it was accepted.
    if (errno != EINTR && errno != ECONNABORTED) return FailErrno("accept a connection");
  }
  return base::Fd();
}

void Listener::Close() { fd_.Reset(); }

}  // namespace hami::net
