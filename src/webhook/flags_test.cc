// SPDX-License-Identifier: Apache-2.0

#include "webhook/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace hami::webhook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<WebhookOptions> Parse(const std::string& line, const std::string& name_space = "hami-system",
                             const std::string& certificate = "") {
  CLI::App app;
  WebhookFlags flags;
  AddWebhookFlags(&app, &flags);
  app.parse(line);
  return OptionsOf(flags, name_space, certificate, certificate);
}

TEST(WebhookFlagsTest, ByDefaultTheCertificateIsManaged) {
  const auto options = Parse("--webhook-bind :9443");
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->address, "0.0.0.0");
  EXPECT_EQ(options->port, 9443);
  EXPECT_EQ(options->managed.secret_namespace, "hami-system");
  EXPECT_EQ(options->managed.secret_name, "hami-scheduler-tls");
  EXPECT_THAT(options->managed.mutating_configurations, ElementsAre("hami-webhook"));
  EXPECT_THAT(options->managed.host_names, ElementsAre("hami-scheduler.hami-system.svc"));
  EXPECT_THAT(options->admission.trusted_users,
              ElementsAre("system:serviceaccount:hami-system:hami-device-plugin",
                          "system:serviceaccount:hami-system:hami-scheduler"));
}

TEST(WebhookFlagsTest, FilesAreNotManaged) {
  const auto options = Parse("--webhook-bind 127.0.0.1:0", "", "/tls.crt");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->certificate_file, "/tls.crt");
  EXPECT_EQ(options->managed.secret_name, "");
  EXPECT_EQ(Parse("--webhook-bind [::1]:1 --webhook-secret none", "")->managed.secret_name, "");
}

TEST(WebhookFlagsTest, AllOfThem) {
  const auto options = Parse(
      "--webhook-bind [::1]:1 --webhook-secret s --webhook-service none --webhook-host 10.0.0.7 "
      "--webhook-configuration a b --validating-webhook-configuration c --webhook-threads 3 "
      "--webhook-trusted-user u");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->address, "::1");
  EXPECT_EQ(options->threads, 3);
  EXPECT_EQ(options->managed.secret_name, "s");
  EXPECT_THAT(options->managed.host_names, ElementsAre("10.0.0.7"));
  EXPECT_THAT(options->managed.mutating_configurations, ElementsAre("a", "b"));
  EXPECT_THAT(options->managed.validating_configurations, ElementsAre("c"));
  EXPECT_TRUE(options->admission.trusted_users.contains("u"));
}

TEST(WebhookFlagsTest, SaysWhatIsWrong) {
  for (const char* bind : {"9443", ":", ":x", ":70000", ":-1", ":1x", "a:"}) {
    const auto options = Parse(std::string("--webhook-bind ") + bind);
    ASSERT_FALSE(options) << bind;
    EXPECT_THAT(options.error().message, HasSubstr("--webhook-bind"));
  }
  EXPECT_THAT(Parse("--webhook-bind :1", "").error().message, HasSubstr("POD_NAMESPACE"));
}

}  // namespace
}  // namespace hami::webhook
