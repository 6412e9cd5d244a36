// SPDX-License-Identifier: Apache-2.0

#include "kube/watch_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::kube {
namespace {

using ::testing::ElementsAre;

class WatchStreamTest : public ::testing::Test {
 protected:
  Status Feed(std::string_view data) {
    return stream_.Feed(data, [this](EventType type, json::Value object) -> Status {
      if (type == EventType::kError) return Fail(Code::kOutOfRange, "told to end");
      seen_.push_back(std::to_string(static_cast<int>(type)) + object["n"].Json());
      return {};
    });
  }

  WatchStream stream_;
  std::vector<std::string> seen_;
};

constexpr char kAll[] =
    "{\"type\":\"ADDED\",\"object\":{\"n\":1}}\n"
    "{\"type\":\"MODIFIED\",\"object\":{\"n\":\"a\\nb\"}}\n"
    "\n"
    "{\"object\":{\"n\":3},\"type\":\"DELETED\"}\r\n"
    "{\"type\":\"BOOKMARK\",\"object\":{\"n\":4}}\n";

TEST_F(WatchStreamTest, ReadsEventsHoweverTheyAreCut) {
  const std::string all = kAll;
  for (size_t part = 1; part <= all.size(); ++part) {
    stream_ = WatchStream();
    seen_.clear();
    for (size_t at = 0; at < all.size(); at += part) ASSERT_TRUE(Feed(all.substr(at, part)));
    EXPECT_THAT(seen_, ElementsAre("01", "1\"a\\nb\"", "23", "34")) << part;
  }
}

TEST_F(WatchStreamTest, ALineWithoutAnEndIsNoEvent) {
  EXPECT_TRUE(Feed(R"({"type":"ADDED","object":{"n":1}})"));
  EXPECT_THAT(seen_, ElementsAre());
  EXPECT_TRUE(Feed("\n"));
  EXPECT_THAT(seen_, ElementsAre("01"));
}

TEST_F(WatchStreamTest, WhatIsNoEventEndsTheStream) {
  for (const char* line :
       {"x\n", "{}\n", "{\"type\":\"ADDED\"}\n", "[]\n", "{\"type\":\"NEW\",\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":7}\n"}) {
    stream_ = WatchStream();
    EXPECT_EQ(Feed(line).error().code, Code::kInvalidArgument) << line;
  }
}

TEST_F(WatchStreamTest, TheHandlerEndsTheStream) {
  const std::string error = "{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n";
  EXPECT_EQ(Feed(std::string(kAll) + error + kAll).error().code, Code::kOutOfRange);
  EXPECT_EQ(seen_.size(), 4U);
}

TEST_F(WatchStreamTest, ALineHasALimit) {
  const std::string part(1 << 20, ' ');
  Status status;
  for (size_t fed = 0; status && fed <= 2 * WatchStream::kMaxLineBytes; fed += part.size()) {
    status = Feed(part);
  }
  EXPECT_FALSE(status);
}

}  // namespace
}  // namespace hami::kube
