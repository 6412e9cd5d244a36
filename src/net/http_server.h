// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 server for what machines ask of a daemon: metrics, health, admission. Exact paths,
// whole bodies, a deadline for every phase, so that a slow peer costs a socket and nothing else.
// Plain text, or TLS with an identity that can be replaced while it runs.
//
//   ASSIGN_OR_RETURN(auto server, net::HttpServer::Start({.port = 9395}, {
//       {"GET", "/healthz", [](const net::ServerRequest&) { return net::ServerResponse{.body =
//       "ok"}; }},
//   }));
//
// Handlers run on the server's threads, several at once if there are several; while one runs, its
// thread serves nobody else. An exception in one is a 500. HEAD is answered where GET is.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/server_tls.h"

namespace hami::net {

// Valid while the handler runs.
struct ServerRequest {
  std::string_view method;
  std::string_view path;   // as it came, without the query
  std::string_view query;  // behind the "?", as it came
  std::string_view body;
  // The value of a header, "" if absent; any case.
  std::function<std::string_view(std::string_view name)> header;
};

struct ServerResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

using ServerHandler = std::function<ServerResponse(const ServerRequest&)>;

struct Route {
  std::string method;
  std::string path;
  ServerHandler handler;
};

struct HttpServerOptions {
  std::string address = "0.0.0.0";  // IPv4 or IPv6, no name
  uint16_t port = 0;                // 0: any free one
  int threads = 1;
  // Beyond it the one that has waited longest for its peer ends; while all work, new ones wait.
  size_t max_connections = 1024;
  size_t max_header_bytes = 16 << 10;
  size_t max_body_bytes = 1 << 20;
  // Longer than Go's clients keep an unused connection (90 s), so that they close first.
  int64_t idle_timeout_ms = 120'000;
  ServerTls* tls = nullptr;               // null: plain text; outlives the server
  int64_t handshake_timeout_ms = 10'000;  // of TLS
  int64_t header_timeout_ms = 10'000;     // from its first byte, or from the connection
  int64_t body_timeout_ms = 30'000;
  int64_t write_timeout_ms = 30'000;
};

class HttpServer {
 public:
  // kInvalidArgument: the address; kAlreadyExists: somebody else has the port.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   std::vector<Route> routes);
  // Stop(0)
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;

  // Accepts nothing more, ends idle connections, lets requests under way finish for up to
  // `grace_ms`, then ends all. Once; not from a handler.
  void Stop(int64_t grace_ms);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hami::net
