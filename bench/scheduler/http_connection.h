// SPDX-License-Identifier: Apache-2.0
//
// One connection of HTTP/1.1 that is kept open, with or without TLS: no more than a load generator
// needs, so that it costs little beside what it measures. Errors end the program. One thread.

#pragma once

#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace hami::bench {

struct Endpoint {
  std::string address;  // IPv4
  int port = 0;
  bool tls = false;
  std::string authority;    // PEM file; "": the server is not checked
  std::string certificate;  // PEM files of ours; "": none
  std::string key;
};

class HttpConnection {
 public:
  explicit HttpConnection(const Endpoint& endpoint);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Sends a POST whose body is both parts one after the other, and reads the answer into `answer`.
  // Returns its status.
  int Post(std::string_view path, std::string_view body, std::string_view rest,
           std::string* answer);

 private:
  void Send(std::string_view text);
  void Receive();  // at least one byte more in received_
  void ReadChunks(std::string* answer);
  std::string_view NeedLine();  // up to its end, which is consumed
  void NeedBytes(size_t count, std::string* into);

  int socket_ = -1;
  ssl_ctx_st* context_ = nullptr;
  ssl_st* tls_ = nullptr;
  std::string host_;
  std::string head_;      // reused
  std::string received_;  // from used_ on not looked at yet
  size_t used_ = 0;
};

}  // namespace hami::bench
