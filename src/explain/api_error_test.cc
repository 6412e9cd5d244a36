// SPDX-License-Identifier: Apache-2.0

#include "explain/api_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::explain {
namespace {

using ::testing::HasSubstr;

TEST(ApiErrorTest, EachSaysWhatToDo) {
  const auto text = [](Code code) { return ApiErrorText(Error(code, "why"), "https://s", "file"); };
  EXPECT_EQ(text(Code::kUnavailable),
            "no answer from https://s (of file): why. Is the API server up, and reachable from "
            "here?");
  EXPECT_THAT(text(Code::kFailedPrecondition), HasSubstr("certificate-authority-data"));
  EXPECT_THAT(text(Code::kUnauthenticated), HasSubstr("Log in again"));
  EXPECT_THAT(text(Code::kPermissionDenied), HasSubstr("Ask an administrator"));
  EXPECT_EQ(text(Code::kNotFound), "why");
  EXPECT_THAT(ConfigErrorText(Error(Code::kNotFound, "no kubeconfig")), HasSubstr("--kubeconfig"));
  EXPECT_EQ(ConfigErrorText(Error(Code::kInvalidArgument, "line 3")), "line 3");
}

}  // namespace
}  // namespace hami::explain
