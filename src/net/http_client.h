// SPDX-License-Identifier: Apache-2.0
//
// HTTP requests to servers that are asked again and again: connections are kept and, with TLS,
// shared by HTTP/2. Two pools, because a stream that lasts for hours and a list of 900 MB must not
// stand before a request of 1 KB.
//
// An exchange that fails because nothing arrives any more (timeout_ms, idle_timeout_ms) takes its
// pool's connections with it: requests that come later open new ones, those under way may finish.
// Redirects are not followed. Proxies come from the request or from the environment (https_proxy,
// no_proxy); loopback addresses never go through one.
//
// Start and Cancel may be called from any thread. The handlers run on the I/O thread and must not
// block; they may call Start and Cancel.

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

namespace hami::net {

class IoThread;

// Whom to trust and who we are. All PEM.
struct TlsSettings {
  std::string ca;           // trusted alone; empty: the system's
  std::string certificate;  // ours, with its chain; empty: none
  std::string key;
  bool verify_peer = true;
  std::string server_name;  // in the certificate and SNI; empty: the URL's host

  bool operator==(const TlsSettings&) const = default;
};

enum class HttpPool : uint8_t { kShort, kStreams };

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Shared with whoever makes requests with the same identity; null: the system's CAs, no identity.
  std::shared_ptr<const TlsSettings> tls;
  std::string proxy;  // URL; empty: as the environment says

  HttpPool pool = HttpPool::kShort;
  int64_t timeout_ms = 30'000;  // for all of it; 0: no limit
  int64_t idle_timeout_ms = 0;  // between two parts of the answer; 0: no limit
  size_t max_body_bytes = 1 << 30;

  // Whether a second execution does no harm. Then a request that met a connection which the server
  // was just closing is sent again on a new one.
  bool repeatable = true;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  std::string_view Header(std::string_view lower_case_name) const;  // "" if absent
};

struct HttpResult {
  // kUnavailable: no connection, or it broke; kDeadlineExceeded; kFailedPrecondition: the peer's
  // certificate is not to be trusted, or ours is unusable; kResourceExhausted: the body is larger
  // than allowed; kCancelled: the client ends; kInvalidArgument: the URL.
  Status transport;
  // False only if the server cannot have seen the request.
  bool maybe_executed = true;
  HttpResponse response;  // any status counts as success of the transport
};

class HttpClient {
 public:
  using RequestId = uint64_t;
  using Done = std::function<void(HttpResult)>;
  // A part of the body, valid during the call.
  using Data = std::function<void(std::string_view)>;

  // The thread outlives the client.
  HttpClient(IoThread& thread, std::string user_agent);
  // Requests under way end with kCancelled. Not from the I/O thread.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `done` is called exactly once, unless Cancel comes first. With `data`, the body of an answer
  // with status 200 to 299 goes there in parts and not into the response.
  RequestId Start(HttpRequest request, Done done, Data data = nullptr);

  // Called from the I/O thread: no handler of that request is called any more. From another: one
  // may be running.
  void Cancel(RequestId id);

 private:
  class Impl;
  IoThread& thread_;
  const std::shared_ptr<Impl> impl_;  // tasks that are under way keep it
};

}  // namespace hami::net
