// SPDX-License-Identifier: Apache-2.0

#include "base/json_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace hami::base {
namespace {

TEST(JsonWriterTest, WritesNestedValuesInOrder) {
  JsonWriter json;
  json.BeginObject()
      .Member("name", "a \"b\"\n")
      .Key("sizes")
      .BeginArray()
      .Value(1)
      .Value(uint64_t{18446744073709551615U})
      .Value(-5)
      .EndArray()
      .Key("empty")
      .BeginObject()
      .EndObject()
      .Member("flag", true)
      .Member("real", 0.25)
      .Key("nothing")
      .Null()
      .EndObject();
  EXPECT_EQ(std::move(json).Take(),
            "{\"name\":\"a \\\"b\\\"\\n\",\"sizes\":[1,18446744073709551615,-5],\"empty\":{},"
            "\"flag\":true,\"real\":0.25,\"nothing\":null}");
}

TEST(JsonWriterTest, AnyBytesGiveValidJson) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  all += "\xe2\x82\xac \xf0\x9f\x98\x80 \xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80 \xe2\x82";
  JsonWriter json;
  json.Value(all);
  const std::string text = std::move(json).Take();
  const nlohmann::json parsed = nlohmann::json::parse(text);  // throws on invalid UTF-8
  const auto read = parsed.get<std::string>();
  EXPECT_NE(read.find("\xe2\x82\xac \xf0\x9f\x98\x80"), std::string::npos);
  EXPECT_EQ(read.find("\xed\xa0\x80"), std::string::npos);
}

TEST(JsonWriterTest, NumbersThatJsonLacksAreNull) {
  JsonWriter json;
  json.BeginArray()
      .Value(std::numeric_limits<double>::infinity())
      .Value(std::numeric_limits<double>::quiet_NaN())
      .EndArray();
  EXPECT_EQ(std::move(json).Take(), "[null,null]");
}

TEST(JsonWriterDeathTest, OpenBracketIsABug) {
  JsonWriter json;
  json.BeginObject();
  EXPECT_DEATH(std::move(json).Take(), "CHECK");
}

TEST(JsonWriterTest, WhatIsJsonAlreadyStaysAsItIs) {
  JsonWriter json;
  json.BeginObject().Key("a").Raw(R"({"b": [1]})").Member("c", 2).Key("d").BeginArray();
  json.Raw("3").Raw("null").EndArray().EndObject();
  EXPECT_EQ(std::move(json).Take(), R"({"a":{"b": [1]},"c":2,"d":[3,null]})");
}

}  // namespace
}  // namespace hami::base
