// SPDX-License-Identifier: Apache-2.0

#include "explain/inquiry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "explain/text.h"
#include "kube/client.h"
#include "net/fake_http_server.h"

namespace hami::explain {
namespace {

using ::testing::HasSubstr;

constexpr char kApi[] = "/apis/resource.k8s.io/v1/";
constexpr char kClaim[] = R"({
  "metadata": {"namespace": "default", "name": "c"},
  "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {
    "deviceClassName": "hami-core-gpu.project-hami.io"}}]}}})";
constexpr char kSlice[] = R"({
  "metadata": {"name": "s"},
  "spec": {"driver": "hami-core-gpu.project-hami.io", "nodeName": "n1",
    "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
    "devices": [{"name": "hami-gpu-0", "allowMultipleAllocations": true,
                 "capacity": {"cores": {"value": "100"}}}]}})";

std::string List(const std::string& items) {
  return R"({"metadata": {}, "items": [)" + items + "]}";
}

// A server that knows some paths; what it does not know is not served at all.
class InquiryTest : public ::testing::Test {
 protected:
  void Answer(const std::string& path, const std::string& body) { answers_[path] = {200, body}; }
  void Refuse(const std::string& path) {
    answers_[path] = {403, R"({"kind": "Status", "reason": "Forbidden", "message": "not you",)"
                           R"("code": 403})"};
  }
  void Lack(const std::string& path) {
    answers_[path] = {404, R"({"kind": "Status", "reason": "NotFound", "message": "no such thing",)"
                           R"("code": 404})"};
  }

  Result<Report> Ask(bool pod = false) {
    kube::ClusterConfig config;
    config.server = server_.url();
    kube::Client client(config, {});
    Gatherer gatherer(&client);
    return pod ? InquirePod(&gatherer, {"default", "p"})
               : InquireClaim(&gatherer, {"default", "c"});
  }

  void AnswerAll() {
    Answer(std::string(kApi) + "namespaces/default/resourceclaims/c", kClaim);
    Answer(std::string(kApi) + "deviceclasses",
           List(R"({"metadata": {"name": "hami-core-gpu.project-hami.io"}})"));
    Answer(std::string(kApi) + "resourceslices", List(kSlice));
    Answer(std::string(kApi) + "resourceclaims", List(kClaim));
    Answer("/api/v1/namespaces/default/pods", List(""));
  }

 private:
  struct Reply {
    int status;
    std::string body;
  };
  std::map<std::string, Reply> answers_;
  net::FakeHttpServer server_{[this](const net::FakeRequest& request, net::FakeConnection& to) {
    const auto found = answers_.find(request.target.substr(0, request.target.find('?')));
    if (found == answers_.end()) {
      to.Respond(404, "404 page not found\n", {}, "text/plain");
    } else {
      to.Respond(found->second.status, found->second.body);
    }
  }};
};

TEST_F(InquiryTest, AClaimThatWouldFit) {
  AnswerAll();
  const Result<Report> report = Ask();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->claims[0].verdict, Verdict::kFits);
  EXPECT_FALSE(report->claims[0].upper_bounds);
}

TEST_F(InquiryTest, ClaimsOfOneNamespaceWhereAllAreForbidden) {
  AnswerAll();
  Refuse(std::string(kApi) + "resourceclaims");
  Answer(std::string(kApi) + "namespaces/default/resourceclaims", List(kClaim));
  const Result<Report> report = Ask();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->claims[0].verdict, Verdict::kFits);
  EXPECT_TRUE(report->claims[0].upper_bounds);
  EXPECT_TRUE(report->claims[0].gaps.empty());
}

TEST_F(InquiryTest, WhatIsForbiddenBecomesAGap) {
  AnswerAll();
  Refuse(std::string(kApi) + "resourceslices");
  Refuse("/api/v1/namespaces/default/pods");
  const Result<Report> report = Ask();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->claims[0].verdict, Verdict::kUnreadable);
  ASSERT_EQ(report->claims[0].gaps.size(), 2U);
  EXPECT_EQ(report->claims[0].gaps[1].what, "Pods of namespace default");
}

TEST_F(InquiryTest, AnOldServer) {
  Answer("/version", R"({"gitVersion": "v1.33.1"})");
  const Result<Report> report = Ask();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->claims[0].verdict, Verdict::kNotServed);
  EXPECT_EQ(report->claims[0].server_version, "v1.33.1");
}

TEST_F(InquiryTest, AClaimThatMayNotBeReadIsAnError) {
  AnswerAll();
  Refuse(std::string(kApi) + "namespaces/default/resourceclaims/c");
  const Result<Report> report = Ask();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kPermissionDenied);
}

TEST_F(InquiryTest, NodesAreAskedForWhereNothingIsPublished) {
  AnswerAll();
  Answer(std::string(kApi) + "resourceslices", List(""));
  Answer("/api/v1/nodes", List(R"({"metadata": {"name": "n1"}})"));
  Answer("/apis/apps/v1/daemonsets", List(""));
  const Result<Report> report = Ask();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->claims[0].verdict, Verdict::kNotPublished);
  EXPECT_THAT(RenderText(*report), HasSubstr("(nodes: n1)"));
}

TEST_F(InquiryTest, ASliceThatCannotBeReadIsPassedOver) {
  AnswerAll();
  Answer(std::string(kApi) + "resourceslices",
         List(std::string(kSlice) + R"(,{"metadata": {"name": "odd"}, "spec": {}})"));
  const Result<Report> report = Ask();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->claims[0].verdict, Verdict::kFits);
  ASSERT_EQ(report->claims[0].gaps.size(), 1U);
  EXPECT_EQ(report->claims[0].gaps[0].what, "odd of ResourceSlices");
}

TEST_F(InquiryTest, APodWhoseClaimsAreNotThere) {
  AnswerAll();
  Answer("/api/v1/namespaces/default/pods/p", R"({
    "metadata": {"namespace": "default", "name": "p"}, "status": {"phase": "Pending"},
    "spec": {"resourceClaims": [{"name": "a", "resourceClaimName": "nix"},
                                {"name": "b", "resourceClaimTemplateName": "t"}]}})");
  Answer("/api/v1/namespaces/default/events",
         List(R"({"reason": "FailedScheduling", "message": "old"},
                 {"reason": "FailedResourceClaimCreation", "message": "no template"})"));
  Lack(std::string(kApi) + "namespaces/default/resourceclaims/nix");
  Lack(std::string(kApi) + "namespaces/default/resourceclaimtemplates/nix");
  const Result<Report> report = Ask(true);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->claims.size(), 2U);
  EXPECT_EQ(report->claims[0].verdict, Verdict::kNotFound);
  EXPECT_EQ(report->claims[1].verdict, Verdict::kNotMade);
  ASSERT_EQ(report->pod->warnings.size(), 1U);
  EXPECT_EQ(report->pod->warnings[0].message, "no template");
}

}  // namespace
}  // namespace hami::explain
