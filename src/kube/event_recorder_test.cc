// SPDX-License-Identifier: Apache-2.0

#include "kube/event_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "json/value.h"
#include "kube/event_pace.h"
#include "net/fake_http_server.h"

namespace hami::kube {
namespace {

using net::FakeConnection;
using net::FakeHttpServer;
using net::FakeRequest;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const EventSubject kPod{"v1", "Pod", {"team-a", "train"}, "uid-1"};

class EventRecorderTest : public ::testing::Test {
 protected:
  std::vector<FakeRequest> Asked() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  ClusterConfig Config() const {
    ClusterConfig config;
    config.server = server_.url();
    return config;
  }

  std::mutex mutex_;
  std::vector<FakeRequest> requests_;
  std::atomic<int> status_{201};
  FakeHttpServer server_{[this](const FakeRequest& request, FakeConnection& connection) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const int status = status_;
    connection.Respond(
        status, status < 300 ? "{}" : R"({"kind":"Status","code":)" + std::to_string(status) + "}");
  }};
  Client client_{Config(), {}};
  EventRecorder recorder_{client_, "hami-dra-driver", "node-1"};
};

TEST_F(EventRecorderTest, WritesAnEventAsKubernetesHasIt) {
  recorder_.Record(kPod, {true, "PrepareFailed", "no \"room\" on GPU 0"});
  EXPECT_TRUE(recorder_.Flush(10'000));
  const auto asked = Asked();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].target, "/api/v1/namespaces/team-a/events");
  json::Document document;
  ASSERT_TRUE(document.Parse(asked[0].body));
  const json::Value event = document.root();
  EXPECT_EQ(event["kind"].Text(), "Event");
  EXPECT_THAT(std::string(event["metadata"]["name"].Text()), StartsWith("train."));
  EXPECT_EQ(event["metadata"]["namespace"].Text(), "team-a");
  EXPECT_EQ(
      event["involvedObject"].Json(),
      R"({"apiVersion":"v1","kind":"Pod","namespace":"team-a","name":"train","uid":"uid-1"})");
  EXPECT_EQ(event["type"].Text(), "Warning");
  EXPECT_EQ(event["reason"].Text(), "PrepareFailed");
  EXPECT_EQ(event["message"].Text(), "no \"room\" on GPU 0");
  EXPECT_EQ(event["count"].Int(), 1);
  EXPECT_EQ(event["source"]["component"].Text(), "hami-dra-driver");
  EXPECT_EQ(event["source"]["host"].Text(), "node-1");
  EXPECT_EQ(event["firstTimestamp"].Text(), event["lastTimestamp"].Text());
  EXPECT_EQ(recorder_.stats().created, 1U);
}

TEST_F(EventRecorderTest, ObjectsOfTheClusterAreInDefault) {
  recorder_.Record({"v1", "Node", {"", "node-1"}, "u"}, {false, "Ready", "it is"});
  EXPECT_TRUE(recorder_.Flush(10'000));
  ASSERT_THAT(Asked(), SizeIs(1));
  EXPECT_EQ(Asked()[0].target, "/api/v1/namespaces/default/events");
  EXPECT_THAT(Asked()[0].body, HasSubstr(R"("kind":"Node","name":"node-1")"));
  EXPECT_THAT(Asked()[0].body, HasSubstr(R"("type":"Normal")"));
}

TEST_F(EventRecorderTest, ManyTimesTheSameIsOneEventWithACount) {
  for (int i = 0; i < 50; ++i) recorder_.Record(kPod, {true, "A", "same"});
  EXPECT_TRUE(recorder_.Flush(10'000));
  EXPECT_TRUE(recorder_.Flush(10'000));
  const auto asked = Asked();
  ASSERT_THAT(asked, SizeIs(2));
  EXPECT_EQ(asked[1].method, "PATCH");
  EXPECT_THAT(asked[1].target, StartsWith("/api/v1/namespaces/team-a/events/train."));
  EXPECT_THAT(asked[1].body, StartsWith(R"({"count":50,"lastTimestamp":")"));
  EXPECT_EQ(recorder_.stats().updated, 1U);
}

TEST_F(EventRecorderTest, LongWordsAreCutBetweenCharacters) {
  std::string message;
  while (message.size() < 2000) message += "x\xc3\xa9";
  recorder_.Record({"v1", "Pod", {"ns", std::string(253, 'n')}, "u"}, {true, "A", message});
  EXPECT_TRUE(recorder_.Flush(10'000));
  json::Document document;
  ASSERT_TRUE(document.Parse(Asked()[0].body));
  EXPECT_LE(document.root()["message"].Text().size(), EventRecorder::kMaxMessageBytes);
  EXPECT_GE(document.root()["message"].Text().size(), EventRecorder::kMaxMessageBytes - 1);
  EXPECT_EQ(document.root()["metadata"]["name"].Text().size(), 253U);
}

TEST_F(EventRecorderTest, WhatTheServerRefusesIsDroppedAndCounted) {
  status_ = 403;
  recorder_.Record(kPod, {true, "A", "one"});
  recorder_.Record(kPod, {true, "A", "two"});
  EXPECT_TRUE(recorder_.Flush(10'000));
  EXPECT_EQ(recorder_.stats().dropped, 2U);
  EXPECT_EQ(recorder_.stats().created, 0U);
  // Afterwards it goes on, and the count tells of what was lost.
  status_ = 201;
  recorder_.Record(kPod, {true, "A", "one"});
  EXPECT_TRUE(recorder_.Flush(10'000));
  EXPECT_THAT(Asked().back().body, HasSubstr(R"("count":2)"));
}

TEST_F(EventRecorderTest, AnEarlierTryOfOurOwnIsNoRefusal) {
  status_ = 409;
  recorder_.Record(kPod, {true, "A", "one"});
  EXPECT_TRUE(recorder_.Flush(10'000));
  EXPECT_EQ(recorder_.stats().dropped, 1U) << "Conflict is not AlreadyExists";
}

TEST_F(EventRecorderTest, OfMuchThatWentWellAFewAreWrittenAtOnceAndWarningsAll) {
  for (int i = 0; i < 10 * EventPace::kBurst; ++i) {
    recorder_.Record({"v1", "Pod", {"ns", "p" + std::to_string(i)}, std::to_string(i)},
                     {false, "Placed", "it is"});
  }
  recorder_.Record(kPod, {true, "Failed", "last"});
  const auto is_warning = [](const FakeRequest& request) {
    return request.body.find("Failed") != std::string::npos;
  };
  std::vector<FakeRequest> asked;
  while (std::ranges::none_of(asked = Asked(), is_warning)) std::this_thread::yield();
  EXPECT_LT(asked.size(), 10U * EventPace::kBurst);
  // What waits is not lost.
  EXPECT_TRUE(recorder_.Flush(10'000));
  EXPECT_THAT(Asked(), SizeIs(10 * EventPace::kBurst + 1));
  EXPECT_EQ(recorder_.stats().dropped, 0U);
}

TEST_F(EventRecorderTest, WhatWasHeldIsWrittenInTheEnd) {
  for (int i = 0; i < EventPace::kBurst + 5; ++i) {
    recorder_.Record({"v1", "Pod", {"ns", "p" + std::to_string(i)}, std::to_string(i)},
                     {false, "Placed", "it is"});
  }
  while (Asked().size() < EventPace::kBurst + 5U) std::this_thread::yield();
}

TEST(EventRecorderAwayTest, NeverWaitsForAServerThatIsAway) {
  ClusterConfig config;
  config.server = "http://127.0.0.1:1";
  Client client(config, {});
  EventRecorder recorder(client, "x", "y");
  // More than can wait: each about an object of its own.
  for (int i = 0; i < 3 * EventRecorder::kMaxPending; ++i) {
    recorder.Record({"v1", "Pod", {"ns", "p" + std::to_string(i)}, std::to_string(i)},
                    {true, "A", "b"});
  }
  EXPECT_FALSE(recorder.Flush(10));
  EXPECT_GE(recorder.stats().dropped, 2U * EventRecorder::kMaxPending);
}

}  // namespace
}  // namespace hami::kube
