// SPDX-License-Identifier: Apache-2.0
//
// One string out of JSON: what nlohmann's parser finds there, the hook's finds too; what is cut off
// anywhere is never taken for whole.

#include "hook/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hami::hook {
namespace {

std::string Find(const std::string& document, const std::vector<std::string_view>& path,
                 size_t room = 64) {
  std::vector<char> out(room);
  switch (FindJsonString(document, path, out)) {
    case JsonFinding::kFound:
      return out.data();
    case JsonFinding::kMissing:
      return "(missing)";
    case JsonFinding::kTooLong:
      return "(too long)";
    case JsonFinding::kBroken:
      break;
  }
  return "(broken)";
}

// What runc 1.1.5 gives to a hook.
constexpr char kState[] =
    R"({"ociVersion":"1.0.2-dev","id":"hx-1","status":"creating","pid":1,"bundle":"/run/b",)"
    R"("annotations":{"id":"wrong","bundle":"/wrong"}})";

TEST(HookJsonTest, ReadsAState) {
  EXPECT_EQ(Find(kState, {"id"}), "hx-1");
  EXPECT_EQ(Find(kState, {"bundle"}), "/run/b");
  EXPECT_EQ(Find(kState, {"annotations", "id"}), "wrong");
  EXPECT_EQ(Find(kState, {"root", "path"}), "(missing)");
  EXPECT_EQ(Find(kState, {"pid"}), "(missing)");
  EXPECT_EQ(Find(kState, {"annotations"}), "(missing)");
}

TEST(HookJsonTest, NamesCountAtTheirLevelOnly) {
  EXPECT_EQ(Find(R"({"a":{"path":"1"},"root":{"x":{"path":"2"},"path":"3"},"path":"4"})",
                 {"root", "path"}),
            "3");
  EXPECT_EQ(Find(R"({"root":[{"path":"1"}]})", {"root", "path"}), "(missing)");
  EXPECT_EQ(Find(R"(["root",{"path":"1"}])", {"root", "path"}), "(missing)");
  EXPECT_EQ(Find(R"({"x":"\"root\":{\"path\":\"1\"}"})", {"root", "path"}), "(missing)");
}

// As Go's decoder, which the runtimes use.
TEST(HookJsonTest, OfEqualMembersTheLastCounts) {
  EXPECT_EQ(Find(R"({"a":"1","a":"2"})", {"a"}), "2");
  EXPECT_EQ(Find(R"({"a":"1","a":3})", {"a"}), "(missing)");
}

TEST(HookJsonTest, Unescapes) {
  const std::string document = R"({"a":"\u0041\u00e9\u20ac\ud83d\ude00\"\\\/\b\f\n\r\t\u003c"})";
  EXPECT_EQ(Find(document, {"a"}), nlohmann::json::parse(document)["a"].get<std::string>());
  EXPECT_EQ(Find(R"({"\u0061":"1"})", {"a"}), "1");
}

TEST(HookJsonTest, BrokenIsNeverFound) {
  for (const char* document :
       {"", " ", "{", "[", "\"", "{\"a\":\"1\"", "{\"a\":\"1\"}}", "{\"a\":\"1\",}",
        "{\"a\" \"1\"}", "{a:\"1\"}", "{\"a\":\"1\"} x", "{\"a\":}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\ud83d\"}", "{\"a\":\"\\ud83d\\u0041\"}",
        "{\"a\":\"1\nb\"}", "[1,]", "{\"a\":\"x\\u0000y\"}"}) {
    EXPECT_EQ(Find(document, {"a"}), "(broken)") << document;
  }
}

TEST(HookJsonTest, EveryCutIsBroken) {
  const std::string state = kState;
  for (size_t bytes = 0; bytes < state.size(); ++bytes) {
    EXPECT_EQ(Find(state.substr(0, bytes), {"id"}), "(broken)") << bytes;
  }
}

TEST(HookJsonTest, DepthIsBounded) {
  const auto nested = [](int depth) {
    return "{\"x\":" + std::string(depth, '[') + std::string(depth, ']') + ",\"a\":\"1\"}";
  };
  EXPECT_EQ(Find(nested(127), {"a"}), "1");
  EXPECT_EQ(Find(nested(128), {"a"}), "(broken)");
  EXPECT_EQ(Find(std::string(1'000'000, '['), {"a"}), "(broken)");
}

TEST(HookJsonTest, RoomIsBounded) {
  EXPECT_EQ(Find(R"({"a":"123"})", {"a"}, 4), "123");
  EXPECT_EQ(Find(R"({"a":"123"})", {"a"}, 3), "(too long)");
  EXPECT_EQ(Find(R"({"a":"123"})", {"a"}, 0), "(too long)");
  EXPECT_EQ(Find(R"({"a":""})", {"a"}, 1), "");
}

}  // namespace
}  // namespace hami::hook
