// SPDX-License-Identifier: Apache-2.0

#include "kube/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "net/fake_http_server.h"

namespace hami::kube {
namespace {

using net::FakeConnection;
using net::FakeHttpServer;
using net::FakeRequest;
using ::testing::HasSubstr;

TEST(DiscoveryTest, VersionsAsVendorsWriteThem) {
  EXPECT_EQ(ParseServerVersion(R"({"major":"1","minor":"36","gitVersion":"v1.36.3"})").value(),
            (ServerVersion{1, 36, "v1.36.3"}));
  EXPECT_EQ(ParseServerVersion(R"({"major":"1","minor":"34+","gitVersion":"v1.34.1-eks"})")->minor,
            34);
  EXPECT_EQ(ParseServerVersion(R"({"major":"","minor":"","gitVersion":"v1.35.0-x"})")->minor, 35);
  EXPECT_FALSE(ParseServerVersion(R"({"gitVersion":"unknown"})"));
  EXPECT_FALSE(ParseServerVersion("<html>"));
  EXPECT_TRUE((ServerVersion{1, 36, ""}).IsAtLeast(1, 34));
  EXPECT_TRUE((ServerVersion{2, 0, ""}).IsAtLeast(1, 34));
  EXPECT_FALSE((ServerVersion{1, 33, ""}).IsAtLeast(1, 34));
}

TEST(DiscoveryTest, FindsWhatIsServed) {
  FakeHttpServer server([](const FakeRequest& request, FakeConnection& connection) {
    if (request.target == "/apis/resource.k8s.io/v1beta1") {
      return connection.Respond(200, R"({"resources":[{"name":"resourceclaims/status"},)"
                                     R"({"name":"resourceslices"}]})");
    }
    if (request.target == "/api/v1") {
      return connection.Respond(200, R"({"resources":[{"name":"pods"}]})");
    }
    if (request.target == "/version") {
      return connection.Respond(200, R"({"major":"1","minor":"36"})");
    }
    if (request.target == "/apis/secret/v1") {
      return connection.Respond(403, R"({"kind":"Status","reason":"Forbidden","code":403})");
    }
    connection.Respond(404, "404 page not found\n", "", "text/plain");
  });
  ClusterConfig config;
  config.server = server.url();
  Client client(config, {});

  EXPECT_EQ(GetServerVersion(client)->minor, 36);
  const ResourceType old{"resource.k8s.io", "v1beta1", "resourceslices"};
  EXPECT_TRUE(IsServed(client, kPods).value());
  EXPECT_TRUE(IsServed(client, old).value());
  EXPECT_FALSE(IsServed(client, {"resource.k8s.io", "v1beta1", "resourceclaims"}).value());
  EXPECT_FALSE(IsServed(client, kResourceSlices).value());
  EXPECT_FALSE(IsServed(client, {"secret", "v1", "x"}));

  EXPECT_EQ(FirstServed(client, {kResourceSlices, old, kPods}).value(), old);
  const auto none = FirstServed(client, {kResourceSlices});
  EXPECT_EQ(none.error().code, Code::kUnimplemented);
  EXPECT_THAT(none.error().message, HasSubstr("resource.k8s.io/v1 resourceslices"));
}

}  // namespace
}  // namespace hami::kube
