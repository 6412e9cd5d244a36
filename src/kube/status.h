// SPDX-License-Identifier: Apache-2.0
//
// What the API server says when it refuses: a Status object (JSON or protobuf), or a plain text of
// what stands before it. Becomes an Error whose reason is Kubernetes' own word. Pure.
//
//   reason                                          code
//   NotFound                                        kNotFound
//   NotServed (ours: no such resource at all)       kUnimplemented; also MethodNotAllowed
//   AlreadyExists                                   kAlreadyExists
//   Conflict (resourceVersion, uid)                 kAborted
//   Gone, Expired (resourceVersion is too old)      kOutOfRange
//   Invalid, BadRequest, RequestEntityTooLarge, ..  kInvalidArgument
//   Forbidden                                       kPermissionDenied
//   Unauthorized                                    kUnauthenticated
//   TooManyRequests                                 kResourceExhausted
//   Timeout, 504                                    kDeadlineExceeded
//   ServerTimeout, ServiceUnavailable, 502, 503     kUnavailable
//   InternalError, other 5xx                        kInternal

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace hami::kube {

inline constexpr std::string_view kNotServed = "NotServed";

struct ApiFailure {
  Error error;
  int http_status;
  std::optional<int64_t> retry_after_ms;  // Retry-After, or Status.details.retryAfterSeconds
};

// Of an answer whose status is not 2xx. `retry_after` is the header's value.
ApiFailure FailureOfAnswer(int http_status, std::string_view content_type, std::string_view body,
                           std::string_view retry_after);

// Of a Status object, as an ERROR event of a watch carries it; the second of its protobuf message.
ApiFailure FailureOfStatus(json::Value status);
ApiFailure FailureOfProtobufStatus(std::string_view message);

// The list or watch has to begin again, because the server no longer knows where it stood.
bool IsExpired(const Error& error);

// The server has none of the forms that were asked for (406, 415).
bool RefusesForm(const Error& error);

}  // namespace hami::kube
