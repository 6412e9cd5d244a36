// SPDX-License-Identifier: Apache-2.0

#include "kube/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace hami::kube {
namespace {

constexpr int64_t kMaxRetryAfterS = 3600;
constexpr size_t kMaxForeignText = 200;

struct Row {
  std::string_view reason;
  int http_status;
  Code code;
};

// The first row of a status is what an answer without a reason gets.
constexpr Row kRows[] = {
    {"BadRequest", 400, Code::kInvalidArgument},
    {"Unauthorized", 401, Code::kUnauthenticated},
    {"Forbidden", 403, Code::kPermissionDenied},
    {"NotFound", 404, Code::kNotFound},
    {kNotServed, 404, Code::kUnimplemented},
    {"MethodNotAllowed", 405, Code::kUnimplemented},
    {"NotAcceptable", 406, Code::kInvalidArgument},
    {"Conflict", 409, Code::kAborted},
    {"AlreadyExists", 409, Code::kAlreadyExists},
    {"Expired", 410, Code::kOutOfRange},
    {"Gone", 410, Code::kOutOfRange},
    {"RequestEntityTooLarge", 413, Code::kInvalidArgument},
    {"UnsupportedMediaType", 415, Code::kInvalidArgument},
    {"Invalid", 422, Code::kInvalidArgument},
    {"TooManyRequests", 429, Code::kResourceExhausted},
    {"InternalError", 500, Code::kInternal},
    {"ServerTimeout", 500, Code::kUnavailable},
    {"", 502, Code::kUnavailable},
    {"ServiceUnavailable", 503, Code::kUnavailable},
    {"Timeout", 504, Code::kDeadlineExceeded},
};

Code CodeFor(std::string_view reason, int http_status) {
  for (const Row& row : kRows) {
    if (!reason.empty() && row.reason == reason) return row.code;
  }
  for (const Row& row : kRows) {
    if (row.http_status == http_status) return row.code;
  }
  return http_status >= 500 ? Code::kInternal : Code::kUnknown;
}

std::string_view ReasonFor(int http_status) {
  for (const Row& row : kRows) {
    if (row.http_status == http_status) return row.reason;
  }
  return {};
}

Error MakeError(Code code, std::string message, std::string_view reason) {
  Error error(code, std::move(message));
  error.reason = reason;
  return error;
}

// "120"; a date, which the API server does not send, counts as absent.
std::optional<int64_t> ParseRetryAfter(std::string_view text) {
  int64_t seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::min(seconds, kMaxRetryAfterS) * 1000;
}

// The beginning of a text that is not ours, on one line.
std::string Excerpt(std::string_view text) {
  std::string excerpt(text.substr(0, kMaxForeignText));
  for (char& c : excerpt) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  while (!excerpt.empty() && excerpt.back() == ' ') excerpt.pop_back();
  return excerpt;
}

}  // namespace

ApiFailure FailureOfStatus(json::Value status) {
  const auto http_status = static_cast<int>(status["code"].Int());
  std::string_view reason = status["reason"].Text(ReasonFor(http_status));
  // An object that is not there is named in the details; a resource that is not served is not.
  const bool unserved = reason == "NotFound" && status["details"]["name"].Text().empty();
  if (unserved) reason = kNotServed;
  std::string message(status["message"].Text());
  if (message.empty()) message = fmt::format("the API server answered {} {}", http_status, reason);
  ApiFailure failure{MakeError(CodeFor(reason, http_status), std::move(message), reason),
                     http_status, std::nullopt};
  const int64_t seconds = status["details"]["retryAfterSeconds"].Int();
  if (seconds > 0) failure.retry_after_ms = std::min(seconds, kMaxRetryAfterS) * 1000;
  return failure;
}

ApiFailure FailureOfAnswer(int http_status, std::string_view content_type, std::string_view body,
                           std::string_view retry_after) {
  if (content_type.starts_with("application/json")) {
    json::Document document;
    if (document.Parse(body) && document.root()["kind"].Text() == "Status") {
      ApiFailure failure = FailureOfStatus(document.root());
      failure.http_status = http_status;
      if (auto header = ParseRetryAfter(retry_after)) failure.retry_after_ms = header;
      return failure;
    }
  }
  // The API server says "404 page not found" for a group, version or resource that it does not
  // serve; an object that is not there comes with a Status.
  const bool unserved = http_status == 404;
  return {MakeError(unserved ? Code::kUnimplemented : CodeFor({}, http_status),
                    fmt::format("the API server answered {}: {}", http_status, Excerpt(body)),
                    unserved ? kNotServed : ReasonFor(http_status)),
          http_status, ParseRetryAfter(retry_after)};
}

bool IsExpired(const Error& error) { return error.code == Code::kOutOfRange; }

}  // namespace hami::kube
