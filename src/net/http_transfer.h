// SPDX-License-Identifier: Apache-2.0
//
// Inside net: one request on its way, as a libcurl easy handle and the functions libcurl calls for
// it. Belongs to the I/O thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "net/http_client.h"
#include "net/io_thread.h"

namespace hami::net {

struct HttpTransfer {
  HttpTransfer(HttpRequest request_made, HttpClient::Done done_handler,
               HttpClient::Data data_handler);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Tells libcurl everything. kInvalidArgument for what it does not accept.
  Status Prepare(const std::string& user_agent);

  // What `code` (a CURLcode) came to; takes the response.
  HttpResult Finish(int code);

  HttpRequest request;
  HttpClient::Done done;
  HttpClient::Data data;
  HttpResponse response;

  void* easy;
  void* header_list = nullptr;  // of curl_slist
  void* connect_list = nullptr;
  char error_text[256] = {};
  size_t body_sent = 0;
  bool body_too_large = false;

  bool cancelled = false;
  int64_t last_byte_ns = 0;  // steady clock
  IoThread::TimerId idle_timer = 0;
};

}  // namespace hami::net
