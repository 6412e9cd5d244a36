// SPDX-License-Identifier: Apache-2.0

#include "kube/list_watch.h"

#include <gtest/gtest.h>

#include <string>

namespace hami::kube {
namespace {

using Kind = ListWatch::Step::Kind;

constexpr int64_t kNow = 1'000'000'000'000;
constexpr int64_t kLong = 300'000;

ListWatch Machine() {
  return ListWatch({.page_size = 2, .backoff = {.first_ms = 100, .max_ms = 1'000}},
                   [] { return 0; });
}

ApiFailure Failure(Code code) { return {Error(code, "x"), 0, std::nullopt}; }

// A machine that has listed up to `version` and been told to watch.
ListWatch Watching(const std::string& version) {
  ListWatch machine = Machine();
  machine.Start();
  machine.OnPage(version, "");
  return machine;
}

TEST(ListWatchTest, ListsInPagesThenWatchesFromThere) {
  ListWatch machine = Machine();
  auto step = machine.Start();
  EXPECT_EQ(step.kind, Kind::kList);
  EXPECT_TRUE(step.is_first_page);
  EXPECT_EQ(step.page_size, 2);

  step = machine.OnPage("10", "more");
  EXPECT_EQ(step.kind, Kind::kList);
  EXPECT_FALSE(step.is_first_page);
  EXPECT_EQ(step.continue_token, "more");

  step = machine.OnPage("10", "");
  EXPECT_EQ(step.kind, Kind::kWatch);
  EXPECT_EQ(step.resource_version, "10");
  EXPECT_GE(step.timeout_s, 300);
  EXPECT_LE(step.timeout_s, 600);
}

TEST(ListWatchTest, AnExpiredListBeginsAgainAtOnceThenComesInOnePiece) {
  ListWatch machine = Machine();
  machine.Start();
  for (const int page_size : {2, 0}) {
    machine.OnPage("10", "more");
    const auto step = machine.OnListFailed(Failure(Code::kOutOfRange), kNow);
    EXPECT_EQ(step.kind, Kind::kList);
    EXPECT_TRUE(step.is_first_page);
    EXPECT_EQ(step.page_size, page_size);
  }
  machine.OnPage("20", "");
  EXPECT_EQ(machine.OnWatchEnded(Failure(Code::kOutOfRange), kLong, kNow).kind, Kind::kWait);
  EXPECT_EQ(machine.OnWaited().page_size, 2) << "one list that came through is enough";
}

TEST(ListWatchTest, AListThatFailsWaitsAndBeginsAgain) {
  ListWatch machine = Machine();
  machine.Start();
  machine.OnPage("10", "more");
  auto step = machine.OnListFailed(Failure(Code::kUnavailable), kNow);
  EXPECT_EQ(step.kind, Kind::kWait);
  EXPECT_EQ(step.delay_ms, 50);
  step = machine.OnWaited();
  EXPECT_EQ(step.kind, Kind::kList);
  EXPECT_TRUE(step.is_first_page);
  EXPECT_EQ(machine.OnListFailed(Failure(Code::kUnavailable), kNow + 1).delay_ms, 100);
}

TEST(ListWatchTest, TheServersOwnDelayIsWaited) {
  ListWatch machine = Watching("10");
  ApiFailure failure = Failure(Code::kResourceExhausted);
  failure.retry_after_ms = 7'000;
  const auto step = machine.OnWatchEnded(failure, kLong, kNow);
  EXPECT_EQ(step.delay_ms, 7'000);
  EXPECT_EQ(machine.OnWaited().kind, Kind::kWatch);
}

TEST(ListWatchTest, AWatchThatEndsGoesOnFromTheLastVersion) {
  ListWatch machine = Watching("10");
  machine.OnEvent("11");
  machine.OnEvent("15");
  machine.OnEvent("");
  auto step = machine.OnWatchEnded(std::nullopt, 10, kNow);
  EXPECT_EQ(step.kind, Kind::kWatch);
  EXPECT_EQ(step.resource_version, "15");

  // Nothing came, and at once: the server is in trouble.
  step = machine.OnWatchEnded(std::nullopt, 10, kNow);
  EXPECT_EQ(step.kind, Kind::kWait);
  step = machine.OnWaited();
  EXPECT_EQ(step.kind, Kind::kWatch);
  EXPECT_EQ(step.resource_version, "15");

  // Nothing came for the whole time: that is what a quiet cluster looks like.
  EXPECT_EQ(machine.OnWatchEnded(std::nullopt, kLong, kNow).kind, Kind::kWatch);
}

TEST(ListWatchTest, OnlySomeFailuresOfAWatchVoidTheVersion) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kResourceExhausted,
                          Code::kUnauthenticated, Code::kInternal, Code::kFailedPrecondition}) {
    ListWatch machine = Watching("10");
    EXPECT_EQ(machine.OnWatchEnded(Failure(code), kLong, kNow).kind, Kind::kWait);
    const auto step = machine.OnWaited();
    EXPECT_EQ(step.kind, Kind::kWatch) << base::CodeName(code);
    EXPECT_EQ(step.resource_version, "10");
  }
  for (const Code code : {Code::kOutOfRange, Code::kInvalidArgument, Code::kPermissionDenied,
                          Code::kNotFound, Code::kUnimplemented, Code::kUnknown}) {
    ListWatch machine = Watching("10");
    EXPECT_EQ(machine.OnWatchEnded(Failure(code), kLong, kNow).kind, Kind::kWait);
    const auto step = machine.OnWaited();
    EXPECT_EQ(step.kind, Kind::kList) << base::CodeName(code);
    EXPECT_TRUE(step.is_first_page);
  }
}

// --- Streaming lists ---

ListWatch StreamingMachine() {
  return ListWatch(
      {.page_size = 2, .streaming = true, .backoff = {.first_ms = 100, .max_ms = 1'000}},
      [] { return 0; });
}

TEST(StreamingListTest, IsAWatchFromNowhere) {
  ListWatch machine = StreamingMachine();
  auto step = machine.Start();
  EXPECT_EQ(step.kind, Kind::kWatch);
  EXPECT_TRUE(step.is_streaming_list);
  EXPECT_EQ(step.resource_version, "");
  machine.OnEvent("3");
  machine.OnInitialEventsEnd("7");
  machine.OnEvent("8");
  step = machine.OnWatchEnded(std::nullopt, kLong, kNow);
  EXPECT_EQ(step.kind, Kind::kWatch);
  EXPECT_FALSE(step.is_streaming_list);
  EXPECT_EQ(step.resource_version, "8");
}

TEST(StreamingListTest, EndsInPagesWhereItIsRefused) {
  ListWatch machine = StreamingMachine();
  machine.Start();
  ApiFailure refused = Failure(Code::kInvalidArgument);
  refused.http_status = 422;
  EXPECT_EQ(machine.OnWatchEnded(refused, 1, kNow).kind, Kind::kList);
  EXPECT_FALSE(machine.IsStreaming());
  machine.OnPage("5", "");
  EXPECT_EQ(machine.OnWatchEnded(Failure(Code::kOutOfRange), kLong, kNow).kind, Kind::kWait);
  EXPECT_EQ(machine.OnWaited().kind, Kind::kList);
}

TEST(StreamingListTest, AnswersThatAreNotUnderstoodSayNothingAboutIt) {
  ListWatch machine = StreamingMachine();
  machine.Start();
  EXPECT_EQ(machine.OnWatchEnded(Failure(Code::kInvalidArgument), 1, kNow).kind, Kind::kWait);
  EXPECT_TRUE(machine.OnWaited().is_streaming_list);
}

TEST(StreamingListTest, AServerThatIsAwayIsStreamedFromWhenItIsBack) {
  ListWatch machine = StreamingMachine();
  machine.Start();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(machine.OnWatchEnded(Failure(Code::kUnavailable), 1, kNow).kind, Kind::kWait);
    EXPECT_TRUE(machine.OnWaited().is_streaming_list);
  }
}

TEST(StreamingListTest, ThreeThatBreakInTheMiddleAreEnough) {
  ListWatch machine = StreamingMachine();
  machine.Start();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(machine.IsStreaming());
    machine.OnEvent("3");
    EXPECT_EQ(machine.OnWatchEnded(Failure(Code::kUnavailable), 1, kNow).kind, Kind::kWait);
    EXPECT_EQ(machine.OnWaited().kind, i < 2 ? Kind::kWatch : Kind::kList);
  }
  ListWatch other = StreamingMachine();  // one that comes through counts
  other.Start();
  for (int i = 0; i < 10; ++i) {
    other.OnEvent("3");
    other.OnWatchEnded(Failure(Code::kUnavailable), 1, kNow);
    EXPECT_TRUE(other.OnWaited().is_streaming_list);
    other.OnInitialEventsEnd("5");
    other.OnWatchEnded(Failure(Code::kOutOfRange), kLong, kNow);
    EXPECT_TRUE(other.OnWaited().is_streaming_list);
  }
}

}  // namespace
}  // namespace hami::kube
