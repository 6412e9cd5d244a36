// SPDX-License-Identifier: Apache-2.0

#include "webhook/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kube/base64.h"
#include "webhook/fake_reviews.h"

namespace hami::webhook {
namespace {

using nlohmann::json;
using ::testing::SizeIs;

TEST(ReviewTest, ReadsWhatAnApiServerSends) {
  json text = FakeReview(FakePod({{"nvidia.com/gpu", "1"}}));
  text["request"]["dryRun"] = true;
  text["request"]["subResource"] = "status";
  for (const char* version : {"admission.k8s.io/v1", "admission.k8s.io/v1beta1"}) {
    text["apiVersion"] = version;
    hami::json::Document document;
    const Result<Review> review = ReadReview(text.dump(), &document);
    ASSERT_TRUE(review) << review.error().message;
    EXPECT_EQ(review->api_version, version);
    EXPECT_EQ(review->uid, "705ab4f5-6393-11e8-b7cc-42010a800002");
    EXPECT_EQ(review->operation, "CREATE");
    EXPECT_EQ(review->kind, "Pod");
    EXPECT_EQ(review->resource, "pods");
    EXPECT_EQ(review->subresource, "status");
    EXPECT_EQ(review->name_space, "team-a");
    EXPECT_EQ(review->user, "alice");
    EXPECT_TRUE(review->dry_run);
    EXPECT_EQ(review->object["metadata"]["name"].Text(), "train");
  }
}

TEST(ReviewTest, RefusesWhatCannotBeAnswered) {
  const json good = FakeReview(FakePod(nullptr));
  json other_kind = good;
  other_kind["kind"] = "Pod";
  json other_version = good;
  other_version["apiVersion"] = "admission.k8s.io/v2";
  json no_uid = good;
  no_uid["request"].erase("uid");
  json no_request = good;
  no_request.erase("request");
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  json deep_pod = good;
  std::string nested = good.dump();
  nested.replace(nested.find("\"train\""), 7, deep);
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("null"), std::string("[]"), std::string("{}"),
        std::string("\xff\xfe"), other_kind.dump(), other_version.dump(), no_uid.dump(),
        no_request.dump(), deep, nested, good.dump() + "x"}) {
    hami::json::Document document;
    const Result<Review> review = ReadReview(text, &document);
    ASSERT_FALSE(review) << text.substr(0, 100);
    EXPECT_EQ(review.error().code, Code::kInvalidArgument);
    EXPECT_LT(review.error().message.size(), size_t{300}) << "whatever was sent";
  }
}

TEST(ReviewTest, ReadsAPodOfThreeMebibytes) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  pod["metadata"]["annotations"]["note"] = std::string(3 << 20, 'x');
  hami::json::Document document;
  const Result<Review> review = ReadReview(FakeReview(pod).dump(), &document);
  ASSERT_TRUE(review);
  EXPECT_THAT(review->object["metadata"]["annotations"]["note"].Text(), SizeIs(3 << 20));
}

class AnswerTest : public ::testing::Test {
 protected:
  json Write(const Answer& answer) {
    Review review;
    review.api_version = "admission.k8s.io/v1beta1";
    review.uid = "u\"1";
    const json text = json::parse(WriteAnswer(review, answer));
    EXPECT_EQ(text["kind"], "AdmissionReview");
    EXPECT_EQ(text["apiVersion"], "admission.k8s.io/v1beta1") << "as it was asked";
    EXPECT_EQ(text["response"]["uid"], "u\"1");
    return text["response"];
  }
};

TEST_F(AnswerTest, Allowed) {
  EXPECT_EQ(Write({}), json({{"uid", "u\"1"}, {"allowed", true}}));
  EXPECT_EQ(Write({.message = "why"})["status"], json({{"message", "why"}, {"code", 200}}));
}

TEST_F(AnswerTest, APatchIsBase64) {
  const json response = Write({.patch = R"([{"op":"add","path":"/a","value":1}])"});
  EXPECT_EQ(response["patchType"], "JSONPatch");
  EXPECT_EQ(kube::DecodeBase64(response["patch"].get<std::string>()),
            R"([{"op":"add","path":"/a","value":1}])");
}

TEST_F(AnswerTest, ADenialHasAStatusAndNoPatch) {
  Answer denied = Deny(403, "because");
  denied.patch = "[]";
  EXPECT_EQ(Write(denied), json({{"uid", "u\"1"},
                                 {"allowed", false},
                                 {"status",
                                  {{"status", "Failure"},
                                   {"reason", "Forbidden"},
                                   {"message", "because"},
                                   {"code", 403}}}}));
  EXPECT_EQ(Write(Deny(422, ""))["status"]["reason"], "Invalid");
  EXPECT_EQ(Write(Deny(400, ""))["status"]["reason"], "BadRequest");
}

TEST_F(AnswerTest, WarningsAreFewShortAndOfOneLine) {
  // An API server drops what is longer, and sends them in a header.
  Answer answer;
  answer.warnings = {
      "a\nb\x01"
      "c",
      std::string(1000, 'x'), std::string(249, 'y') + "\xc3\xa4"};
  const json warnings = Write(answer)["warnings"];
  EXPECT_EQ(warnings[0], "a b c");
  EXPECT_THAT(warnings[1].get<std::string>(), SizeIs(250));
  EXPECT_EQ(warnings[2], std::string(249, 'y')) << "no character is cut in two";
  answer.warnings.assign(100, "w");
  EXPECT_THAT(Write(answer)["warnings"], SizeIs(10));
}

TEST_F(AnswerTest, WhatAUserWroteDoesNotGrowAnAnswer) {
  const json response = Write(Deny(422, std::string(1 << 20, 'x')));
  EXPECT_THAT(response["status"]["message"].get<std::string>(), SizeIs(2000));
}

}  // namespace
}  // namespace hami::webhook
