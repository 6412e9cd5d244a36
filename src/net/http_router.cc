// SPDX-License-Identifier: Apache-2.0

#include "net/http_router.h"

#include <exception>

#include "base/log.h"

namespace hami::net {
namespace {

ServerResponse Call(const Route& route, const ServerRequest& request) {
  try {
    return route.handler(request);
  } catch (const std::exception& exception) {
    LOG_ERROR_EVERY(10'000, "a handler of the HTTP server failed", Field("path", route.path),
                    Field("error", exception.what()));
    return PlainResponse(500, "internal error");
  }
}

}  // namespace

ServerResponse PlainResponse(int status, std::string body) {
  return {.status = status, .body = std::move(body) + "\n"};
}

ServerResponse HttpRouter::Answer(const ServerRequest& request) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    if (route.path != request.path) continue;
    if (route.method == method) return Call(route, request);
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) return PlainResponse(404, "not found");
  ServerResponse response = PlainResponse(405, "method not allowed");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace hami::net
