// SPDX-License-Identifier: Apache-2.0

#include "base/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "base/version.h"

namespace hami {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

Result<int> Half(int number) {
  if (number % 2 != 0) return Fail(Code::kInvalidArgument, "odd");
  return number / 2;
}

Result<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status Check(int number) {
  RETURN_IF_ERROR(Half(number));
  return {};
}

TEST(ResultTest, MacrosPassErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().message, "odd");
  EXPECT_TRUE(Check(2));
  EXPECT_EQ(Check(3).error().code, Code::kInvalidArgument);
}

TEST(ResultTest, AssignMovesTheValue) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); };
  const auto use = [&]() -> Result<int> {
    ASSIGN_OR_RETURN(const std::unique_ptr<int> five, make());
    return *five;
  };
  EXPECT_EQ(*use(), 5);
}

TEST(ErrorTest, KnowsWhereItWasMade) {
  const Error error = Half(3).error();
  EXPECT_THAT(error.where.file_name(), EndsWith("result_test.cc"));
  EXPECT_EQ(error.where.line(), 20U);
}

TEST(ErrorTest, WrapKeepsCodeAndOrigin) {
  const Error error = Error(Code::kNotFound, "no such file").Wrap("read limits");
  EXPECT_EQ(error.message, "read limits: no such file");
  EXPECT_EQ(error.code, Code::kNotFound);
}

TEST(ErrorTest, ErrnoBecomesACode) {
  EXPECT_EQ(ErrnoError(ENOENT, "open x").code, Code::kNotFound);
  EXPECT_EQ(ErrnoError(EPERM, "mount").code, Code::kPermissionDenied);
  EXPECT_THAT(ErrnoError(ENOENT, "open x").message, HasSubstr("open x: No such file"));
  // A full disk must not look like "no room on any GPU" to who reads the exit code.
  EXPECT_EQ(ExitCode(ErrnoError(ENOSPC, "write").code), 1);
  EXPECT_THAT(ErrnoError(ENOSPC, "write").message, HasSubstr("; make room on that disk"));
}

TEST(CodeTest, NamesAndExitCodes) {
  EXPECT_EQ(CodeName(Code::kOk), "OK");
  EXPECT_EQ(CodeName(Code::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(ExitCode(Code::kOk), 0);
  EXPECT_EQ(ExitCode(Code::kInvalidArgument), 2);
  EXPECT_EQ(ExitCode(Code::kOutOfRange), 2);
  EXPECT_EQ(ExitCode(Code::kUnavailable), 3);
  EXPECT_EQ(ExitCode(Code::kResourceExhausted), 4);
  EXPECT_EQ(ExitCode(Code::kInternal), 1);
}

TEST(VersionTest, LineHasAllParts) {
  const std::string line = base::VersionLine("hami");
  EXPECT_THAT(line, ::testing::StartsWith("hami "));
  EXPECT_THAT(line, HasSubstr(std::string(base::Version())));
  EXPECT_THAT(line, HasSubstr(std::string(base::Commit())));
  EXPECT_THAT(line, HasSubstr(std::string(base::Build())));
  EXPECT_FALSE(base::Version().empty());
}

}  // namespace
}  // namespace hami
