// SPDX-License-Identifier: Apache-2.0

#include "base/result.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace hami::base {
namespace {

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

Code CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
      return Code::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case EAGAIN:
    case EBUSY:
      return Code::kAborted;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnimplemented;
    default:
      return Code::kInternal;
  }
}

}  // namespace

std::string_view CodeName(Code code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodeNames.size() ? kCodeNames[index] : "?";
}

int ExitCode(Code code) {
  switch (code) {
    case Code::kOk:
      return 0;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      return 2;
    case Code::kUnavailable:
      return 3;
    case Code::kResourceExhausted:
      return 4;
    default:
      return 1;
  }
}

Error Error::Wrap(std::string_view context) && {
  std::string wrapped(context);
  wrapped += ": ";
  wrapped += message;
  Error error(code, std::move(wrapped), where);
  error.reason = std::move(reason);
  return error;
}

Error ErrnoError(int error_number, std::string_view what, std::source_location where) {
  std::string message(what);
  message += ": ";
  char buffer[128];
  message += strerror_r(error_number, buffer, sizeof(buffer));  // GNU's form: returns the text
  if (error_number == ENOSPC || error_number == EDQUOT) message += "; make room on that disk";
  return {CodeOfErrno(error_number), std::move(message), where};
}

tl::unexpected<Error> FailErrno(std::string_view what, std::source_location where) {
  return tl::unexpected<Error>(ErrnoError(errno, what, where));
}

}  // namespace hami::base
