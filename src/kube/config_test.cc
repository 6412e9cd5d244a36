// SPDX-License-Identifier: Apache-2.0

#include "kube/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::kube {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFull[] = R"(
apiVersion: v1
kind: Config
current-context: admin
clusters:
- name: one
  cluster:
    server: https://10.0.0.1:6443/
    certificate-authority-data: Y2E=
    tls-server-name: api.example
    proxy-url: http://proxy:3128
- name: two
  cluster: {server: "10.0.0.2:6443", certificate-authority: pki/ca.crt}
- name: blind
  cluster: {server: https://10.0.0.3, insecure-skip-tls-verify: true}
users:
- name: admin
  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}
- name: files
  user: {client-certificate: pki/me.crt, client-key: /abs/me.key, tokenFile: token, as: bob,
         as-groups: [a, b]}
- name: token
  user: {token: very-secret}
- name: cloud
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: bin/login
      args: [get, token]
      env: [{name: A, value: B}]
contexts:
- name: admin
  context: {cluster: one, user: admin, namespace: team-a}
- name: files
  context: {cluster: two, user: files}
- name: blind
  context: {cluster: blind, user: token}
- name: nobody
  context: {cluster: one}
- name: cloud
  context: {cluster: one, user: cloud}
)";

class ConfigTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view text) {
    std::string path = base::JoinPath(folder_.path(), name);
    EXPECT_TRUE(base::WriteFileAtomically(path, text, 0600));
    return path;
  }

  Error FailureOf(std::string_view text, const std::string& context = "") {
    auto config = LoadKubeconfig({Write("bad", text)}, context);
    EXPECT_FALSE(config) << text;
    return config ? Error(Code::kOk, "") : config.error();
  }

  base::TemporaryFolder folder_;
};

TEST_F(ConfigTest, ReadsTheCurrentContext) {
  const auto config = LoadKubeconfig({Write("config", kFull)});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->ca.text, "ca");
  EXPECT_EQ(config->certificate.text, "cert");
  EXPECT_EQ(config->key.text, "key");
  EXPECT_EQ(config->tls_server_name, "api.example");
  EXPECT_EQ(config->proxy_url, "http://proxy:3128");
  EXPECT_EQ(config->name_space, "team-a");
  EXPECT_THAT(config->origin, HasSubstr("context admin"));
}

TEST_F(ConfigTest, RelativePathsStartAtTheFile) {
  const auto config = LoadKubeconfig({Write("config", kFull)}, "files");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://10.0.0.2:6443");
  EXPECT_EQ(config->ca.file, folder_.path() + "/pki/ca.crt");
  EXPECT_EQ(config->certificate.file, folder_.path() + "/pki/me.crt");
  EXPECT_EQ(config->key.file, "/abs/me.key");
  EXPECT_EQ(config->token_file, folder_.path() + "/token");
  EXPECT_EQ(config->impersonate_user, "bob");
  EXPECT_THAT(config->impersonate_groups, ElementsAre("a", "b"));
  EXPECT_EQ(config->name_space, "default");
}

TEST_F(ConfigTest, UnverifiedOnlyWhenItIsSaid) {
  EXPECT_TRUE(LoadKubeconfig({Write("config", kFull)}, "blind")->insecure);
  EXPECT_FALSE(LoadKubeconfig({Write("config", kFull)}, "nobody")->insecure);
}

TEST_F(ConfigTest, ReadsHowToRunAPlugin) {
  const auto config = LoadKubeconfig({Write("config", kFull)}, "cloud");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->exec.command, folder_.path() + "/bin/login");
  EXPECT_THAT(config->exec.arguments, ElementsAre("get", "token"));
  EXPECT_THAT(config->exec.environment, ElementsAre(std::pair("A", "B")));
  EXPECT_EQ(config->exec.api_version, "client.authentication.k8s.io/v1");
}

TEST_F(ConfigTest, InAListOfFilesTheFirstWins) {
  const std::string first = Write("first", R"(
current-context: mine
contexts: [{name: mine, context: {cluster: one, user: token}}]
clusters: [{name: one, cluster: {server: "https://first"}}]
)");
  const std::string empty = Write("empty", "");
  const std::string second = Write("second", kFull);
  const auto config = LoadKubeconfig({folder_.path() + "/absent", first, empty, second});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://first");
  EXPECT_EQ(config->token, "very-secret");
}

TEST_F(ConfigTest, FilesThatDoNotExistAreNamed) {
  const auto config = LoadKubeconfig({"/nowhere/config"});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kNotFound);
  EXPECT_EQ(config.error().message, "no kubeconfig: /nowhere/config does not exist");
}

TEST_F(ConfigTest, WhatIsWrongIsNamedWithoutSecrets) {
  const std::string user =
      "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
      "clusters: [{name: k, cluster: {server: https://h}}]\n";
  const struct {
    std::string text;
    const char* words;
  } kCases[] = {
      {kFull, "no context \"other\""},
      {"contexts: [", "kubeconfig"},
      {"[1, 2]", "is no mapping"},
      {"kind: Pod", "kind is Pod"},
      {"contexts: [{name: other, context: {cluster: x}}]", "names no known cluster"},
      {"contexts: [{name: other, context: {cluster: k, user: x}}]\n"
       "clusters: [{name: k, cluster: {server: https://h}}]",
       "names no known user"},
      {"contexts: [{name: other, context: {cluster: k}}]\nclusters: [{name: k, cluster: {}}]",
       "no address"},
  };
  for (const auto& item : kCases) {
    const Error error = FailureOf(item.text, "other");
    EXPECT_EQ(error.code, Code::kInvalidArgument);
    EXPECT_THAT(error.message, AllOf(HasSubstr(item.words), Not(HasSubstr("very-secret"))));
  }
  EXPECT_THAT(FailureOf(user + "users: [{name: u, user: {client-key-data: '!'}}]", "c").message,
              HasSubstr("client-key-data is not base64"));
  EXPECT_THAT(FailureOf(user + "users: [{name: u, user: {client-key: k}}]", "c").message,
              HasSubstr("belong together"));
  EXPECT_EQ(FailureOf(user + "users: [{name: u, user: {username: x, password: y}}]", "c").code,
            Code::kUnimplemented);
  EXPECT_THAT(FailureOf("clusters: []").message, HasSubstr("no current-context"));
}

TEST_F(ConfigTest, PlainHttpIsForThisMachine) {
  const auto load = [this](const std::string& cluster) {
    return LoadKubeconfig({Write("config",
                                 "contexts: [{name: c, context: {cluster: k}}]\n"
                                 "clusters: [{name: k, cluster: {" +
                                     cluster + "}}]")},
                          "c");
  };
  EXPECT_TRUE(load("server: 'http://127.0.0.1:8001'"));
  EXPECT_TRUE(load("server: 'http://localhost:8001'"));
  EXPECT_TRUE(load("server: 'http://[::1]:8001'"));
  EXPECT_FALSE(load("server: 'http://10.0.0.1'"));
  EXPECT_FALSE(load("server: 'http://127.0.0.1.evil.example'"));
  EXPECT_FALSE(load("server: 'http://127.0.0.1@evil.example'"));
  EXPECT_FALSE(load("server: 'http://:80'"));
  EXPECT_FALSE(load("server: 'ftp://127.0.0.1'"));
  EXPECT_FALSE(
      load("server: 'https://h', insecure-skip-tls-verify: true, "
           "certificate-authority-data: Y2E="));
}

TEST_F(ConfigTest, ThePodsOwnAccount) {
  Write("token", "abc");
  Write("ca.crt", "ca");
  Write("namespace", "team-b\n");
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(LoadInCluster(folder_.path()).error().code, Code::kNotFound);

  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  auto config = LoadInCluster(folder_.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->token_file, folder_.path() + "/token");
  EXPECT_EQ(config->ca.file, folder_.path() + "/ca.crt");
  EXPECT_EQ(config->name_space, "team-b");

  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  EXPECT_EQ(LoadInCluster(folder_.path())->server, "https://[fd00::1]:443");
  EXPECT_EQ(LoadInCluster("/nowhere").error().code, Code::kNotFound);
  unsetenv("KUBERNETES_SERVICE_HOST");
}

TEST_F(ConfigTest, TheFlagGoesBeforeTheEnvironmentBeforeTheHome) {
  const std::string home =
      "contexts: [{name: c, context: {cluster: k}}]\ncurrent-context: c\n"
      "clusters: [{name: k, cluster: {server: https://home}}]";
  ASSERT_TRUE(base::MakeFolders(folder_.path() + "/.kube", 0700));
  Write(".kube/config", home);
  const std::string other = Write("other", kFull);
  setenv("HOME", folder_.path().c_str(), 1);
  unsetenv("KUBECONFIG");
  EXPECT_EQ(LoadConfig()->server, "https://home");
  setenv("KUBECONFIG", (folder_.path() + "/absent:" + other).c_str(), 1);
  EXPECT_EQ(LoadConfig()->server, "https://10.0.0.1:6443");
  EXPECT_EQ(LoadConfig(folder_.path() + "/.kube/config")->server, "https://home");
  unsetenv("KUBECONFIG");
}

}  // namespace
}  // namespace hami::kube
