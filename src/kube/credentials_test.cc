// SPDX-License-Identifier: Apache-2.0

#include "kube/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/fake_clock.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::kube {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kSecond = 1'000'000'000;

class CredentialsTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::WriteFileAtomically(Path(name), text, 0600));
  }
  std::string Path(const std::string& name) const { return base::JoinPath(folder_.path(), name); }

  base::TemporaryFolder folder_;
  base::FakeClock clock_;
};

TEST_F(CredentialsTest, ATokenFileIsReadAgain) {
  Write("token", "one\n");
  Credentials credentials({.token = "unused", .token_file = Path("token")}, clock_);
  EXPECT_EQ(credentials.Current()->authorization, "Bearer one");

  Write("token", "two");
  clock_.Advance(9 * kSecond);
  EXPECT_EQ(credentials.Current()->authorization, "Bearer one")
      << "files are not read all the time";
  clock_.Advance(2 * kSecond);
  EXPECT_EQ(credentials.Current()->authorization, "Bearer two");
}

TEST_F(CredentialsTest, ARefusalLooksAtOnce) {
  Write("token", "one");
  Credentials credentials({.token_file = Path("token")}, clock_);
  EXPECT_EQ(credentials.Current()->authorization, "Bearer one");
  Write("token", "two");
  EXPECT_TRUE(credentials.Renew());
  EXPECT_EQ(credentials.Current()->authorization, "Bearer two");

  Credentials fixed({.token = "fixed"}, clock_);
  EXPECT_EQ(fixed.Current()->authorization, "Bearer fixed");
  EXPECT_FALSE(fixed.Renew());
}

TEST_F(CredentialsTest, WhatCannotBeReadAgainLeavesTheLastInUse) {
  Write("token", "one");
  Credentials credentials({.token_file = Path("token")}, clock_);
  ASSERT_TRUE(credentials.Current());
  for (const char* broken : {"", "two words", "\n"}) {
    Write("token", broken);
    clock_.Advance(11 * kSecond);
    EXPECT_EQ(credentials.Current()->authorization, "Bearer one");
  }
  ASSERT_TRUE(base::RemoveTree(Path("token")));
  clock_.Advance(11 * kSecond);
  EXPECT_EQ(credentials.Current()->authorization, "Bearer one");
}

TEST_F(CredentialsTest, NothingReadableIsAnErrorWithoutTheContent) {
  Credentials absent({.token_file = Path("token"), .origin = "test"}, clock_);
  EXPECT_EQ(absent.Current().error().code, Code::kNotFound);
  EXPECT_THAT(absent.Current().error().message, HasSubstr("test: "));
  Write("token", "half\x01secret");
  Credentials broken({.token_file = Path("token")}, clock_);
  EXPECT_THAT(broken.Current().error().message,
              AllOf(HasSubstr("is no token"), Not(HasSubstr("secret"))));
}

TEST_F(CredentialsTest, SettingsAreOneObjectUntilAFileChanges) {
  Write("ca", "A");
  Write("cert", "C");
  Write("key", "K");
  Credentials credentials({.ca = {.file = Path("ca")},
                           .insecure = false,
                           .certificate = {.file = Path("cert")},
                           .key = {.file = Path("key")}},
                          clock_);
  const auto first = credentials.Current()->tls;
  EXPECT_EQ(first->ca, "A");
  EXPECT_EQ(first->certificate, "C");
  EXPECT_EQ(first->key, "K");
  EXPECT_TRUE(first->verify_peer);
  clock_.Advance(11 * kSecond);
  EXPECT_EQ(credentials.Current()->tls, first);
  Write("cert", "D");
  clock_.Advance(11 * kSecond);
  EXPECT_NE(credentials.Current()->tls, first);
  EXPECT_EQ(credentials.Current()->tls->certificate, "D");
}

TEST_F(CredentialsTest, APluginRunsWhenThereIsNothingGood) {
  const std::string script = "n=$(cat " + Path("count") + "); echo $((n + 1)) > " + Path("count") +
                             R"(; echo '{"kind":"ExecCredential","status":{"token":"t'"$n"'",)"
                             R"("expirationTimestamp":"1970-01-01T01:00:00Z"}}')";
  Write("count", "1");
  Credentials credentials({.exec = {.command = "/bin/sh", .arguments = {"-c", script}}}, clock_);
  EXPECT_TRUE(credentials.NeedsPlugin());
  ASSERT_TRUE(credentials.RunPlugin());
  EXPECT_FALSE(credentials.NeedsPlugin());
  EXPECT_EQ(credentials.Current()->authorization, "Bearer t1");

  EXPECT_TRUE(credentials.Renew()) << "the server refused it";
  EXPECT_TRUE(credentials.NeedsPlugin());
  ASSERT_TRUE(credentials.RunPlugin());
  EXPECT_EQ(credentials.Current()->authorization, "Bearer t2");

  clock_.Advance(3'600 * kSecond - clock_.WallNs() - 5 * kSecond);
  EXPECT_TRUE(credentials.NeedsPlugin()) << "it ends in 5 s";
}

}  // namespace
}  // namespace hami::kube
