// SPDX-License-Identifier: Apache-2.0
//
// The one way a function reports an expected failure: Result<T> and Status, with an Error that has
// a canonical code (gRPC's numbering), a sentence for a person and the line that made it.
//
// A bug is not an Error: see check.h. Context is added once per module border (Error::Wrap), and an
// error is logged or shown once, at the place that decides what happens next.

#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace hami::base {

// gRPC's numbers, which Kubernetes and our services also use on the wire.
enum class Code : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT"
std::string_view CodeName(Code code);

// What a command line program exits with for an error of this code:
//   2  the request is wrong        kInvalidArgument, kOutOfRange
//   3  nothing there to serve it   kUnavailable (no driver, no device)
//   4  no room                     kResourceExhausted
//   1  anything else
int ExitCode(Code code);

struct [[nodiscard]] Error {
  Error(Code error_code, std::string error_message,
        std::source_location error_where = std::source_location::current())
      : code(error_code), message(std::move(error_message)), where(error_where) {}

  // "<context>: <message>", same code, reason and origin.
  Error Wrap(std::string_view context) &&;

  Code code;
  std::string message;
  std::source_location where;
  // A peer's own word for it, finer than the code, for programs to act on: Kubernetes'
  // Status.reason ("AlreadyExists"). Empty where there is none.
  std::string reason = {};
};

// An Error from errno: "<what>: <meaning of the number>". A full disk is kInternal, not
// kResourceExhausted, which means room on a device to whoever reads an exit code.
Error ErrnoError(int error_number, std::string_view what,
                 std::source_location where = std::source_location::current());

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// return Fail(Code::kNotFound, "no GPU 3");
inline tl::unexpected<Error> Fail(Code code, std::string message,
                                  std::source_location where = std::source_location::current()) {
  return tl::unexpected<Error>(Error(code, std::move(message), where));
}
inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// return FailErrno("open " + path);
tl::unexpected<Error> FailErrno(std::string_view what,
                                std::source_location where = std::source_location::current());

}  // namespace hami::base

// The vocabulary of every module, so that it needs no qualification.
namespace hami {
using base::Code;
using base::ErrnoError;
using base::Error;
using base::Fail;
using base::FailErrno;
using base::Result;
using base::Status;
}  // namespace hami

#define HAMI_JOIN_AGAIN_(a, b) a##b
#define HAMI_JOIN_(a, b) HAMI_JOIN_AGAIN_(a, b)

// RETURN_IF_ERROR(WriteLimits(path, limits));
#define RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                  \
    if (auto HAMI_JOIN_(hami_status_, __LINE__) = (expression);                         \
        !HAMI_JOIN_(hami_status_, __LINE__)) {                                          \
      return ::hami::base::Fail(std::move(HAMI_JOIN_(hami_status_, __LINE__)).error()); \
    }                                                                                   \
  } while (false)

// ASSIGN_OR_RETURN(const uint64_t limit_bytes, ParseBytes(text));
#define ASSIGN_OR_RETURN(target, expression) \
  HAMI_ASSIGN_OR_RETURN_(HAMI_JOIN_(hami_result_, __LINE__), target, expression)
#define HAMI_ASSIGN_OR_RETURN_(result, target, expression)           \
  auto result = (expression);                                        \
  if (!result) return ::hami::base::Fail(std::move(result).error()); \
  target = std::move(*result)
