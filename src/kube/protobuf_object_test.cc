// SPDX-License-Identifier: Apache-2.0

#include "kube/protobuf_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "kube/encoded_object.h"
#include "kube/fake_protobuf.h"
#include "kube/status.h"

namespace hami::kube {
namespace {

using protobuf::FakeWriter;
using ::testing::ElementsAre;

TEST(ProtobufObjectTest, TheEnvelopeNamesItsKind) {
  const std::string text = FakeEnvelope("Pod", "the message");
  EXPECT_EQ(text.substr(0, 4), std::string("k8s\0", 4));
  ASSERT_TRUE(IsProtobufText(text));
  const auto object = OpenEnvelope(text);
  ASSERT_TRUE(object);
  EXPECT_EQ(object->kind, "Pod");
  EXPECT_EQ(object->message, "the message");
}

TEST(ProtobufObjectTest, WhatIsNoEnvelope) {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("k8s"), std::string("k8s\0", 4),
        std::string("k8s\0\xff", 5), std::string("k8s\0", 4) + FakeWriter().Number(2, 5).bytes(),
        FakeEnvelope("Pod", "x").substr(1)}) {
    const auto object = OpenEnvelope(text);
    ASSERT_FALSE(object);
    EXPECT_EQ(object.error().code, Code::kInvalidArgument);
  }
}

TEST(ProtobufObjectTest, FactsOfAnObject) {
  const std::string message = FakeMessage("ns", "a", "17");
  auto facts = ReadObjectFacts({.protobuf = message});
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->key, (ObjectKey{"ns", "a"}));
  EXPECT_EQ(facts->resource_version, "17");
  EXPECT_FALSE(facts->ends_initial_events);
  facts = ReadObjectFacts({.protobuf = FakeBookmark("18", true)});
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->resource_version, "18");
  EXPECT_TRUE(facts->ends_initial_events);
  EXPECT_FALSE(ReadObjectFacts({.protobuf = "\xff"}));
}

TEST(ProtobufObjectTest, FactsOfAnObjectInJson) {
  json::Document document;
  ASSERT_TRUE(document.Parse(
      R"({"metadata":{"namespace":"ns","name":"a","resourceVersion":"17",
          "annotations":{"k8s.io/initial-events-end":"true"}}})"));
  const auto facts = ReadObjectFacts({.json = document.root()});
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->key, (ObjectKey{"ns", "a"}));
  EXPECT_EQ(facts->resource_version, "17");
  EXPECT_TRUE(facts->ends_initial_events);
}

TEST(ProtobufObjectTest, TheItemsOfAList) {
  const std::string message = FakeList("9", "more", {"one", "two"});
  std::vector<std::string> items;
  const auto facts = ReadProtobufList(message, [&items](std::string_view item) -> Status {
    items.emplace_back(item);
    return {};
  });
  ASSERT_TRUE(facts);
  EXPECT_THAT(items, ElementsAre("one", "two"));
  EXPECT_EQ(facts->resource_version, "9");
  EXPECT_EQ(facts->continue_token, "more");
  const auto refused = ReadProtobufList(
      message, [](std::string_view) -> Status { return Fail(Code::kInternal, "no"); });
  EXPECT_EQ(refused.error().code, Code::kInternal);
}

TEST(ProtobufObjectTest, AnEventOfAWatch) {
  const std::string frame = FakeEvent("DELETED", "Pod", "the message").substr(4);
  const auto event = ReadProtobufEvent(frame);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, "DELETED");
  EXPECT_EQ(event->object.kind, "Pod");
  EXPECT_EQ(event->object.message, "the message");
  EXPECT_FALSE(ReadProtobufEvent(FakeWriter().Text(1, "ADDED").bytes()));
}

TEST(ProtobufObjectTest, ARefusalIsTheSameAsInJson) {
  const std::string message = FakeStatus(429, "TooManyRequests", "slower", "x", 3);
  const ApiFailure failure = FailureOfProtobufStatus(message);
  EXPECT_EQ(failure.error.code, Code::kResourceExhausted);
  EXPECT_EQ(failure.error.reason, "TooManyRequests");
  EXPECT_EQ(failure.error.message, "slower");
  EXPECT_EQ(failure.http_status, 429);
  EXPECT_EQ(failure.retry_after_ms, 3'000);

  const std::string type = "application/vnd.kubernetes.protobuf";
  const auto answer = FailureOfAnswer(
      404, type, FakeEnvelope("Status", FakeStatus(404, "NotFound", "no", "x", 0)), "7");
  EXPECT_EQ(answer.error.code, Code::kNotFound);
  EXPECT_EQ(answer.retry_after_ms, 7'000);
  const auto unserved = FailureOfAnswer(
      404, type, FakeEnvelope("Status", FakeStatus(404, "NotFound", "no", "", 0)), "");
  EXPECT_EQ(unserved.error.code, Code::kUnimplemented);
  // A body that is none is a foreign text.
  EXPECT_EQ(FailureOfAnswer(503, type, "garbage", "").error.code, Code::kUnavailable);
}

TEST(ProtobufObjectTest, AnyBytesAreRefusedOrRead) {
  std::mt19937 random(6);
  const std::string good = FakeEvent("ADDED", "Pod", FakeMessage("ns", "a", "1"));
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good.substr(4);
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto event = ReadProtobufEvent(bytes);
    if (event) (void)ReadObjectFacts({.protobuf = event->object.message});
    (void)FailureOfProtobufStatus(bytes);
    (void)ReadProtobufList(bytes, [](std::string_view) -> Status { return {}; });
  }
}

}  // namespace
}  // namespace hami::kube
