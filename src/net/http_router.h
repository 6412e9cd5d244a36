// SPDX-License-Identifier: Apache-2.0
//
// Which handler answers a request: the inside of http_server, without sockets. Any thread.

#pragma once

#include <vector>

#include "net/http_server.h"

namespace hami::net {

ServerResponse PlainResponse(int status, std::string body);

class HttpRouter {
 public:
  explicit HttpRouter(std::vector<Route> routes) : routes_(std::move(routes)) {}

  // 404 and 405 where no route answers; 500, without its text, where a handler throws.
  ServerResponse Answer(const ServerRequest& request) const;

 private:
  const std::vector<Route> routes_;
};

}  // namespace hami::net
