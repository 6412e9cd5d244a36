// SPDX-License-Identifier: Apache-2.0

#include "kube/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hami::kube {
namespace {

using ::testing::HasSubstr;

std::string StatusText(const std::string& reason, int code) {
  return R"({"kind":"Status","message":"why","details":{"name":"x"},"reason":")" + reason +
         R"(","code":)" + std::to_string(code) + "}";
}

ApiFailure Of(int http_status, const std::string& body, const std::string& retry_after = "") {
  return FailureOfAnswer(http_status, "application/json", body, retry_after);
}

TEST(StatusTest, EachReasonHasItsCode) {
  const struct {
    const char* reason;
    int http_status;
    Code code;
  } kCases[] = {
      {"NotFound", 404, Code::kNotFound},
      {"AlreadyExists", 409, Code::kAlreadyExists},
      {"Conflict", 409, Code::kAborted},
      {"Gone", 410, Code::kOutOfRange},
      {"Expired", 410, Code::kOutOfRange},
      {"Invalid", 422, Code::kInvalidArgument},
      {"BadRequest", 400, Code::kInvalidArgument},
      {"RequestEntityTooLarge", 413, Code::kInvalidArgument},
      {"Forbidden", 403, Code::kPermissionDenied},
      {"Unauthorized", 401, Code::kUnauthenticated},
      {"MethodNotAllowed", 405, Code::kUnimplemented},
      {"TooManyRequests", 429, Code::kResourceExhausted},
      {"InternalError", 500, Code::kInternal},
      {"ServerTimeout", 500, Code::kUnavailable},
      {"ServiceUnavailable", 503, Code::kUnavailable},
      {"Timeout", 504, Code::kDeadlineExceeded},
      {"SomethingNew", 418, Code::kUnknown},
      {"SomethingNew", 409, Code::kAborted},
      {"SomethingNew", 507, Code::kInternal},
  };
  for (const auto& item : kCases) {
    const ApiFailure failure = Of(item.http_status, StatusText(item.reason, item.http_status));
    EXPECT_EQ(failure.error.code, item.code) << item.reason;
    EXPECT_EQ(failure.error.reason, item.reason);
    EXPECT_EQ(failure.error.message, "why");
    EXPECT_EQ(failure.http_status, item.http_status);
  }
}

TEST(StatusTest, APathThatIsNotServedIsNoMissingObject) {
  const ApiFailure failure = FailureOfAnswer(404, "text/plain", "404 page not found\n", "");
  EXPECT_EQ(failure.error.code, Code::kUnimplemented);
  EXPECT_EQ(failure.error.reason, kNotServed);
  EXPECT_EQ(failure.error.message, "the API server answered 404: 404 page not found");
}

TEST(StatusTest, AResourceThatIsNotServedIsNamedInNoDetails) {
  const ApiFailure failure =
      Of(404, R"({"kind":"Status","reason":"NotFound","details":{},"code":404})");
  EXPECT_EQ(failure.error.code, Code::kUnimplemented);
  EXPECT_EQ(failure.error.reason, kNotServed);
}

TEST(StatusTest, ForeignAnswersAreShortenedAndOnOneLine) {
  const ApiFailure failure =
      FailureOfAnswer(502, "text/html", "<html>\r\n<b>Bad\tGateway" + std::string(5000, '.'), "");
  EXPECT_EQ(failure.error.code, Code::kUnavailable);
  EXPECT_THAT(failure.error.message, HasSubstr("<html>  <b>Bad Gateway"));
  EXPECT_LT(failure.error.message.size(), 300U);
  EXPECT_EQ(Of(503, "{\"half\":").error.code, Code::kUnavailable);
  EXPECT_EQ(Of(500, "[]").error.reason, "InternalError");
}

TEST(StatusTest, RetryAfterComesFromHeaderOrDetails) {
  const std::string body = R"({"kind":"Status","code":429,"details":{"retryAfterSeconds":3}})";
  EXPECT_EQ(Of(429, body).retry_after_ms, 3'000);
  EXPECT_EQ(Of(429, body, "5").retry_after_ms, 5'000);
  EXPECT_EQ(Of(429, body, "0").retry_after_ms, 0);
  EXPECT_EQ(Of(429, body, "Wed, 21 Oct 2015 07:28:00 GMT").retry_after_ms, 3'000);
  EXPECT_EQ(Of(429, "{}", "-1").retry_after_ms, std::nullopt);
  EXPECT_EQ(Of(429, "{}", "99999999").retry_after_ms, 3'600'000) << "bounded";
  EXPECT_EQ(Of(429, "{}", "99999999999999999999").retry_after_ms, std::nullopt);
}

TEST(StatusTest, AStatusWithoutWordsStillSaysSomething) {
  json::Document document;
  ASSERT_TRUE(document.Parse(R"({"code":410})"));
  const ApiFailure failure = FailureOfStatus(document.root());
  EXPECT_TRUE(IsExpired(failure.error));
  EXPECT_EQ(failure.error.reason, "Expired");
  EXPECT_EQ(failure.error.message, "the API server answered 410 Expired");
}

}  // namespace
}  // namespace hami::kube
