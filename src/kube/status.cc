// SPDX-License-Identifier: Apache-2.0

#include "kube/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "kube/protobuf_object.h"
#include "protobuf/reader.h"

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

struct StatusFields {
  int http_status = 0;
  std::string_view reason;
  std::string_view message;
  std::string_view object_name;  // in the details
  int64_t retry_after_s = 0;     // likewise
};

// metav1.StatusDetails
void ReadDetails(std::string_view message, StatusFields* status) {
  protobuf::Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) status->object_name = fields.Text();
    if (fields.number() == 5) status->retry_after_s = fields.Signed32();
  }
}

ApiFailure FailureOf(const StatusFields& status) {
  std::string_view reason = status.reason.empty() ? ReasonFor(status.http_status) : status.reason;
  // An object that is not there is named in the details; a resource that is not served is not.
  if (reason == "NotFound" && status.object_name.empty()) reason = kNotServed;
  std::string message(status.message);
  if (message.empty()) {
    message = fmt::format("the API server answered {} {}", status.http_status, reason);
  }
  ApiFailure failure{MakeError(CodeFor(reason, status.http_status), std::move(message), reason),
                     status.http_status, std::nullopt};
  if (status.retry_after_s > 0) {
    failure.retry_after_ms = std::min(status.retry_after_s, kMaxRetryAfterS) * 1000;
  }
  return failure;
}

// A Status in the body, in whichever form.
std::optional<ApiFailure> FailureInBody(std::string_view content_type, std::string_view body) {
  if (content_type.starts_with("application/json")) {
    json::Document document;
    if (document.Parse(body) && document.root()["kind"].Text() == "Status") {
      return FailureOfStatus(document.root());
    }
  } else if (content_type.starts_with(kProtobufType)) {
    const Result<ProtobufObject> object = OpenEnvelope(body);
    if (object && object->kind == "Status") return FailureOfProtobufStatus(object->message);
  }
  return std::nullopt;
}

}  // namespace

ApiFailure FailureOfStatus(json::Value status) {
  return FailureOf({.http_status = static_cast<int>(status["code"].Int()),
                    .reason = status["reason"].Text(),
                    .message = status["message"].Text(),
                    .object_name = status["details"]["name"].Text(),
                    .retry_after_s = status["details"]["retryAfterSeconds"].Int()});
}

// metav1.Status; what of it cannot be read is missing, as with JSON.
ApiFailure FailureOfProtobufStatus(std::string_view message) {
  StatusFields status;
  protobuf::Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 3) status.message = fields.Text();
    if (fields.number() == 4) status.reason = fields.Text();
    if (fields.number() == 5) ReadDetails(fields.Text(), &status);
    if (fields.number() == 6) status.http_status = fields.Signed32();
  }
  return FailureOf(status);
}

ApiFailure FailureOfAnswer(int http_status, std::string_view content_type, std::string_view body,
                           std::string_view retry_after) {
  if (std::optional<ApiFailure> failure = FailureInBody(content_type, body)) {
    failure->http_status = http_status;
    if (auto header = ParseRetryAfter(retry_after)) failure->retry_after_ms = header;
    return *std::move(failure);
  }
  // The API server says "404 page not found" for a group, version or resource that it does not
  // serve; an object that is not there comes with a Status.
  const bool unserved = http_status == 404;
  return {MakeError(unserved ? Code::kUnimplemented : CodeFor({}, http_status),
                    fmt::format("the API server answered {}: {}", http_status, Excerpt(body)),
                    unserved ? kNotServed : ReasonFor(http_status)),
          http_status, ParseRetryAfter(retry_after)};
}

bool RefusesForm(const Error& error) {
  return error.reason == "NotAcceptable" || error.reason == "UnsupportedMediaType";
}

bool IsExpired(const Error& error) { return error.code == Code::kOutOfRange; }

}  // namespace hami::kube
