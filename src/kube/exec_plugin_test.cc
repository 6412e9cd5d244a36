// SPDX-License-Identifier: Apache-2.0

#include "kube/exec_plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::kube {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ExecPlugin Shell(const std::string& script) {
  return {.command = "/bin/sh",
          .arguments = {"-c", script},
          .environment = {{"WHO", "me"}},
          .api_version = "client.authentication.k8s.io/v1"};
}

std::string Credential(const std::string& status) {
  return R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":)" +
         status + "}";
}

TEST(ExecPluginTest, ATokenWithItsEnd) {
  const auto credential = RunExecPlugin(
      Shell("echo noise >&2; echo '" +
            Credential(R"({"token":"t","expirationTimestamp":"1970-01-01T00:00:09Z"})") + "'"));
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token, "t");
  EXPECT_EQ(credential->expires_wall_ns, 9'000'000'000);
}

TEST(ExecPluginTest, KnowsWhatItIsAskedAndItsEnvironment) {
  const auto credential = RunExecPlugin(Shell(
      R"(case "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*) yes=1;; esac; )"
      R"(printf '%s' '{"kind":"ExecCredential",)"
      R"("apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'"$WHO$yes"'"}}')"));
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token, "me1");
  EXPECT_FALSE(credential->expires_wall_ns);
}

TEST(ExecPluginTest, SaysWhatIsWrongWithoutSecrets) {
  ExecPlugin absent{.command = "/nowhere/login", .install_hint = "apt install login"};
  EXPECT_EQ(RunExecPlugin(absent).error().message,
            "/nowhere/login, which the kubeconfig names, is not installed: apt install login");
  const auto failed = RunExecPlugin(Shell("echo secret; exit 3"));
  EXPECT_EQ(failed.error().code, Code::kUnauthenticated);
  EXPECT_EQ(failed.error().message, "/bin/sh ended with exit code 3");

  const ExecPlugin plugin = Shell("");
  for (const std::string& text :
       {std::string("secret"), std::string("{\"kind\":\"Secret\"}"), Credential("{}"),
        Credential(R"({"token":"secret with spaces"})"),
        Credential(R"({"clientCertificateData":"secret"})"),
        Credential(R"({"token":"t","expirationTimestamp":"secret"})"),
        std::string(
            R"({"kind":"ExecCredential","apiVersion":"v9","status":{"token":"secret"}})")}) {
    const auto credential = ParseExecCredential(plugin, text);
    ASSERT_FALSE(credential) << text;
    EXPECT_EQ(credential.error().code, Code::kInvalidArgument);
    EXPECT_THAT(credential.error().message,
                AllOf(HasSubstr("/bin/sh: "), Not(HasSubstr("secret"))));
  }
}

}  // namespace
}  // namespace hami::kube
