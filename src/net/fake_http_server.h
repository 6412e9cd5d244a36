// SPDX-License-Identifier: Apache-2.0
//
// For tests: an HTTP/1.1 server on a loopback port of its own that does exactly what its handler
// says, broken answers included. One thread per connection; the handler runs there, for several
// connections at once, and may block on the test.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/fd.h"

namespace hami::net {

// A certificate authority and two identities signed by it: the server's is good for 127.0.0.1 and
// "fake.example". PEM.
struct FakeCertificates {
  std::string ca;
  std::string server_certificate;
  std::string server_key;
  std::string client_certificate;  // CN=client
  std::string client_key;
};

FakeCertificates MakeFakeCertificates();

struct FakeRequest {
  std::string method;
  std::string target;                          // "/path?query"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  int connection = 0;       // 1 is the first one that the server accepted
  std::string client_name;  // CN of the client's certificate
};

class FakeConnection {
 public:
  virtual ~FakeConnection() = default;
  // False when the client has gone.
  virtual bool Send(std::string_view raw) = 0;
  // Ends the connection, with a reset if anything is unread or unsent.
  virtual void Close() = 0;
  // Returns when the client or the server ends the connection.
  virtual void WaitForEnd() = 0;

  void Respond(int status, std::string_view body, std::string_view extra_headers = {},
               std::string_view content_type = "application/json");
  // Status 200, then chunks until EndChunks.
  void BeginChunks();
  bool SendChunk(std::string_view data);
  void EndChunks();
};

class FakeHttpServer {
 public:
  using Handler = std::function<void(const FakeRequest&, FakeConnection&)>;

  struct Tls {
    FakeCertificates certificates;
    bool ask_for_client_certificate = false;
  };

  explicit FakeHttpServer(Handler handler) : FakeHttpServer(std::move(handler), nullptr) {}
  // With TLS if `tls` is there.
  FakeHttpServer(Handler handler, const Tls* tls);
  ~FakeHttpServer();  // ends connections first, so handlers return from Send and WaitForEnd
  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  uint16_t port() const { return port_; }
  std::string url() const;  // "https://127.0.0.1:4711"
  int connections() const { return connections_; }

 private:
  class Connection;

  void Accept();

  const Handler handler_;
  void* tls_ = nullptr;  // OpenSSL's context
  base::Fd listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  bool stopping_ = false;
  std::list<std::shared_ptr<Connection>> open_;  // with their threads
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace hami::net
