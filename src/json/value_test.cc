// SPDX-License-Identifier: Apache-2.0

#include "json/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::json {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Document Read(std::string_view text) {
  Document document;
  const Status status = document.Parse(text);
  EXPECT_TRUE(status) << status.error().message;
  return document;
}

TEST(ValueTest, ReadsMembersOfEveryKind) {
  const Document document = Read(
      R"({"text":"a\nb","whole":-7,"big":9223372036854775807,"real":1.5,"flag":true,"none":null,)"
      R"("list":[1,2],"object":{"inner":"x"}})");
  const Value root = document.root();

  EXPECT_EQ(root.kind(), Kind::kObject);
  EXPECT_EQ(root["text"].Text(), "a\nb");
  EXPECT_EQ(root["whole"].Int(), -7);
  EXPECT_EQ(root["big"].Int(), INT64_MAX);
  EXPECT_EQ(root["real"].Real(), 1.5);
  EXPECT_TRUE(root["flag"].Flag());
  EXPECT_EQ(root["none"].kind(), Kind::kNull);
  EXPECT_EQ(root["list"].kind(), Kind::kArray);
  EXPECT_EQ(root["list"].size(), 2U);
  EXPECT_EQ(root["object"]["inner"].Text(), "x");
}

TEST(ValueTest, WhatIsAbsentOrOfAnotherTypeIsTheFallback) {
  const Document document =
      Read(R"({"text":"7","real":1.0,"none":null,"huge":18446744073709551615})");
  const Value root = document.root();

  EXPECT_FALSE(root["absent"].exists());
  EXPECT_EQ(root["absent"].kind(), Kind::kMissing);
  EXPECT_EQ(root["absent"]["deeper"]["still"].Text("none"), "none");
  EXPECT_EQ(root["text"].Int(3), 3);
  EXPECT_EQ(root["real"].Int(4), 4);
  EXPECT_EQ(root["huge"].Int(5), 5);
  EXPECT_EQ(root["none"].Text("default"), "default");
  EXPECT_TRUE(root["none"].Flag(true));
  EXPECT_EQ(root["text"].size(), 0U);
  for ([[maybe_unused]] const Value element : root["text"].Elements()) FAIL();
  for ([[maybe_unused]] const auto member : root["absent"].Members()) FAIL();
}

TEST(ValueTest, WalksArraysAndObjectsInTheirOrder) {
  const Document document =
      Read(R"({"list":["a",{"deep":[1,[2]]},"c",[]],"object":{"z":1,"a":{},"m":"x"}})");

  std::vector<std::string> elements;
  for (const Value element : document.root()["list"].Elements()) elements.push_back(element.Json());
  EXPECT_THAT(elements, ElementsAre("\"a\"", R"({"deep":[1,[2]]})", "\"c\"", "[]"));

  std::vector<std::string> members;
  for (const auto [name, value] : document.root()["object"].Members()) {
    members.push_back(std::string(name) + "=" + value.Json());
  }
  EXPECT_THAT(members, ElementsAre("z=1", "a={}", "m=\"x\""));
}

TEST(ValueTest, ReadsTextsOfAnArray) {
  const Document document =
      Read(R"({"list":["a","","b\"c"],"empty":[],"mixed":["a",7],"text":"a"})");
  std::vector<std::string_view> texts = {"before"};
  EXPECT_TRUE(document.root()["list"].ReadTexts(&texts));
  EXPECT_EQ(texts, (std::vector<std::string_view>{"a", "", "b\"c"}));
  EXPECT_TRUE(document.root()["empty"].ReadTexts(&texts));
  EXPECT_TRUE(texts.empty());
  for (const char* other : {"mixed", "text", "none"}) {
    EXPECT_FALSE(document.root()[other].ReadTexts(&texts)) << other;
  }
}

TEST(ValueTest, TextThatIsNoJsonIsRefusedWhole) {
  for (const char* text : {"", "{", "{\"a\":1}x", "{\"a\":tru}", "[1,]", "\"\xff\"", "{'a':1}",
                           "[1 2]", "nul", "{\"a\" 1}"}) {
    Document document;
    const Status status = document.Parse(text);
    ASSERT_FALSE(status) << text;
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
    EXPECT_THAT(status.error().message, HasSubstr("JSON: "));
    EXPECT_FALSE(document.root().exists());
  }
}

TEST(ValueTest, NestingIsBounded) {
  Document document;
  EXPECT_TRUE(document.Parse(std::string(500, '[') + std::string(500, ']')));
  EXPECT_FALSE(document.Parse(std::string(100'000, '[') + std::string(100'000, ']')));
}

TEST(ValueTest, ADocumentIsUsedAgainAndMoves) {
  Document document = Read(R"({"a":1})");
  EXPECT_FALSE(document.Parse("nothing"));
  EXPECT_FALSE(document.root()["a"].exists());
  ASSERT_TRUE(document.Parse(R"({"b":2})"));
  const Document moved = std::move(document);
  EXPECT_EQ(moved.root()["b"].Int(), 2);
}

}  // namespace
}  // namespace hami::json
