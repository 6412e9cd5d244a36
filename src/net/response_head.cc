// SPDX-License-Identifier: Apache-2.0

#include "net/response_head.h"

#include <array>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace hami::net {
namespace {

namespace http = boost::beast::http;

void AppendNumber(size_t number, std::string* text) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  text->append(digits.data(), end);
}

void AppendField(std::string_view name, std::string_view value, std::string* head) {
  head->append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

void WriteResponseHead(const ServerResponse& response, int version, bool keep_alive,
                       std::string* head) {
  const auto status = static_cast<unsigned>(response.status);
  const auto reason = http::obsolete_reason(http::int_to_status(status));
  head->assign(version == 10 ? "HTTP/1.0 " : "HTTP/1.1 ");
  AppendNumber(status, head);
  head->append(" ").append(reason.data(), reason.size()).append("\r\n");
  AppendField("Content-Type", response.content_type, head);
  for (const auto& [name, value] : response.headers) AppendField(name, value, head);
  // Each version names what it would not do by itself.
  if (version == 10 && keep_alive) AppendField("Connection", "keep-alive", head);
  if (version != 10 && !keep_alive) AppendField("Connection", "close", head);
  head->append("Content-Length: ");
  AppendNumber(response.body.size(), head);
  head->append("\r\n\r\n");
}

}  // namespace hami::net
