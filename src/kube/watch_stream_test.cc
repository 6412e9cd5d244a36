// SPDX-License-Identifier: Apache-2.0

#include "kube/watch_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kube/fake_protobuf.h"

namespace hami::kube {
namespace {

using ::testing::ElementsAre;

class WatchStreamTest : public ::testing::Test {
 protected:
  Status Feed(std::string_view data) {
    return stream_.Feed(data, [this](EventType type, const EncodedObject& object) -> Status {
      if (type == EventType::kError) return Fail(Code::kOutOfRange, "told to end");
      seen_.push_back(std::to_string(static_cast<int>(type)) + object.json["n"].Json());
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

TEST_F(WatchStreamTest, ReadsFramesHoweverTheyAreCut) {
  const std::string all = FakeEvent("ADDED", "Pod", "one") + FakeEvent("DELETED", "Pod", "") +
                          FakeEvent("BOOKMARK", "Pod", std::string(300, 'x'));
  for (size_t part = 1; part <= all.size(); ++part) {
    WatchStream stream;
    std::vector<std::string> seen;
    for (size_t at = 0; at < all.size(); at += part) {
      ASSERT_TRUE(stream.Feed(
          all.substr(at, part), [&seen](EventType type, const EncodedObject& object) -> Status {
            EXPECT_TRUE(object.IsProtobuf());
            seen.push_back(std::to_string(static_cast<int>(type)) + std::string(object.protobuf));
            return {};
          }));
    }
    EXPECT_THAT(seen, ElementsAre("0one", "2", "3" + std::string(300, 'x'))) << part;
  }
}

TEST_F(WatchStreamTest, AFrameIsReadOnceItIsWhole) {
  const std::string frame = FakeEvent("ADDED", "Pod", "one");
  for (size_t size = 0; size < frame.size(); ++size) {
    stream_ = WatchStream();
    EXPECT_TRUE(Feed(frame.substr(0, size)));
    EXPECT_THAT(seen_, ElementsAre()) << size;
  }
}

TEST_F(WatchStreamTest, FramesThatAreNoEventsEndTheStream) {
  const std::string unknown = FakeEvent("NEW", "Pod", "one");
  for (const std::string& frame : {unknown, std::string("\0\0\0\0", 4),
                                   std::string("\0\0\0\1\xff", 5), std::string("\1\0\0\1", 4)}) {
    stream_ = WatchStream();
    EXPECT_EQ(Feed(frame).error().code, Code::kInvalidArgument);
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
