// SPDX-License-Identifier: Apache-2.0

#include "kube/event_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hami::kube {
namespace {

using Verdict = EventBook::Verdict;

constexpr int64_t kStart = 1'000'000;

class EventBookTest : public ::testing::Test {
 protected:
  EventBook::Decision Say(const std::string& message, int64_t now_ms,
                          const std::string& uid = "uid-1") {
    return book_.Note({"v1", "Pod", {"ns", "p"}, uid}, {true, "Failed", message}, now_ms,
                      now_ms * 1'000'000);
  }

  EventBook book_;
};

TEST_F(EventBookTest, TheSameWordsAreOneEvent) {
  const auto first = Say("no room", kStart);
  EXPECT_EQ(first.verdict, Verdict::kSend);
  EXPECT_EQ(book_.Begin(first.line, kStart).count, 1);
  EXPECT_EQ(Say("no room", kStart + 1).verdict, Verdict::kCounted) << "under way";
  EXPECT_EQ(Say("no room", kStart + 2).verdict, Verdict::kCounted);

  const auto after = book_.End(first.line, "p.1", 1, kStart + 100);
  EXPECT_EQ(after.verdict, Verdict::kLater);
  EXPECT_EQ(after.in_ms, EventBook::kUpdateEveryMs - 100);
  EXPECT_EQ(Say("no room", kStart + 200).verdict, Verdict::kCounted) << "waits already";

  EXPECT_EQ(book_.Due(first.line).verdict, Verdict::kSend);
  const EventBook::Line& line = book_.Begin(first.line, kStart + 10'000);
  EXPECT_EQ(line.count, 4);
  EXPECT_EQ(line.event_name, "p.1");
  EXPECT_EQ(line.first_wall_ns, kStart * 1'000'000);
  EXPECT_EQ(line.last_wall_ns, (kStart + 200) * 1'000'000);
  EXPECT_EQ(book_.End(first.line, "p.1", 4, kStart + 10'100).verdict, Verdict::kCounted);
  EXPECT_EQ(Say("no room", kStart + 30'000).verdict, Verdict::kSend) << "the last one is long ago";
}

TEST_F(EventBookTest, OtherWordsOrObjectsAreOtherEvents) {
  EXPECT_EQ(Say("a", kStart).verdict, Verdict::kSend);
  EXPECT_EQ(Say("b", kStart).verdict, Verdict::kSend);
  EXPECT_EQ(Say("a", kStart, "uid-2").verdict, Verdict::kSend);
  EXPECT_EQ(book_.size(), 3U);
}

TEST_F(EventBookTest, AnEventThatIsGoneIsCreatedAnew) {
  const auto first = Say("a", kStart);
  book_.Begin(first.line, kStart);
  book_.End(first.line, "p.1", 1, kStart);
  EXPECT_EQ(Say("a", kStart + 20'000).verdict, Verdict::kSend);
  book_.Begin(first.line, kStart + 20'000);
  EXPECT_EQ(book_.End(first.line, "", 0, kStart + 20'000).verdict, Verdict::kSend);
  EXPECT_EQ(book_.Begin(first.line, kStart + 20'000).count, 2);
}

TEST_F(EventBookTest, TooMuchAboutOneObjectIsDropped) {
  for (int i = 0; i < EventBook::kBurst; ++i) {
    EXPECT_EQ(Say(std::to_string(i), kStart).verdict, Verdict::kSend);
  }
  EXPECT_EQ(Say("one more", kStart).verdict, Verdict::kDropped);
  EXPECT_EQ(Say("0", kStart + 1).verdict, Verdict::kSend) << "known words cost nothing";
  EXPECT_EQ(Say("other object", kStart, "uid-2").verdict, Verdict::kSend);
  EXPECT_EQ(Say("later", kStart + EventBook::kBurstRefillMs).verdict, Verdict::kSend);
  EXPECT_EQ(Say("at once", kStart + EventBook::kBurstRefillMs).verdict, Verdict::kDropped);
}

TEST_F(EventBookTest, OldWordsAreForgotten) {
  const auto first = Say("a", kStart);
  book_.Begin(first.line, kStart);
  book_.End(first.line, "p.1", 1, kStart);
  const auto again = Say("a", kStart + EventBook::kForgetMs + 1);
  EXPECT_EQ(again.verdict, Verdict::kSend);
  EXPECT_NE(again.line, first.line);
  EXPECT_EQ(book_.size(), 1U);
}

TEST_F(EventBookTest, ItDoesNotGrowWithoutEnd) {
  for (size_t i = 0; i < 3 * EventBook::kMaxLines; ++i) {
    const auto said = Say("a", kStart, std::to_string(i));
    book_.Begin(said.line, kStart);
    book_.End(said.line, "p." + std::to_string(i), 1, kStart);
  }
  EXPECT_LE(book_.size(), EventBook::kMaxLines);
  // What is under way is not forgotten.
  EventBook busy;
  book_ = EventBook();
  const auto first = Say("a", kStart, "first");
  book_.Begin(first.line, kStart);
  for (size_t i = 0; i < 2 * EventBook::kMaxLines; ++i) Say("a", kStart, std::to_string(i));
  EXPECT_EQ(book_.End(first.line, "p", 1, kStart).verdict, Verdict::kCounted);
}

TEST_F(EventBookTest, WhatWaitsCanBeAskedFor) {
  const auto first = Say("a", kStart);
  book_.Begin(first.line, kStart);
  Say("a", kStart);
  EXPECT_THAT(book_.Waiting(), ::testing::IsEmpty());
  book_.End(first.line, "p", 1, kStart);
  EXPECT_THAT(book_.Waiting(), ::testing::ElementsAre(first.line));
}

}  // namespace
}  // namespace hami::kube
