// SPDX-License-Identifier: Apache-2.0

#include "kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "kube/fake_protobuf.h"
#include "net/fake_http_server.h"
#include "net/io_thread.h"

namespace hami::kube {
namespace {

using net::FakeConnection;
using net::FakeHttpServer;
using net::FakeRequest;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr char kConflict[] =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure",)"
    R"("message":"the object has been modified","reason":"Conflict","code":409})";
constexpr char kGone[] =
    R"({"kind":"Status","status":"Failure","message":"too old","reason":"Expired","code":410})";

// A client of a server that answers in order what the test lines up, and notes what it was asked.
class ClientTest : public ::testing::Test {
 protected:
  using Answer = std::function<void(FakeConnection&)>;

  static Answer Say(int status, const std::string& body, const std::string& headers = "") {
    return [=](FakeConnection& connection) { connection.Respond(status, body, headers); };
  }
  static Answer Hang() {
    return [](FakeConnection& connection) { connection.WaitForEnd(); };
  }
  static Answer Break() {
    return [](FakeConnection& connection) { connection.Close(); };
  }

  void Expect(std::vector<Answer> answers) {
    const std::lock_guard lock(mutex_);
    answers_.assign(answers.begin(), answers.end());
    requests_.clear();
  }

  std::vector<std::string> Asked() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> asked;
    for (const FakeRequest& request : requests_) {
      asked.push_back(request.method + " " + request.target);
    }
    return asked;
  }

  FakeRequest Last() {
    const std::lock_guard lock(mutex_);
    return requests_.back();
  }

  ClusterConfig Config() const {
    ClusterConfig config;
    config.server = server_.url();
    config.token = "secret";
    return config;
  }

  std::mutex mutex_;
  std::deque<Answer> answers_;
  std::vector<FakeRequest> requests_;
  FakeHttpServer server_{[this](const FakeRequest& request, FakeConnection& connection) {
    Answer answer = Say(500, "nothing was lined up");
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      if (!answers_.empty()) {
        answer = answers_.front();
        answers_.pop_front();
      }
    }
    answer(connection);
  }};
  Client client_{Config(), {.user_agent = "tester/1", .read_silence_ms = 200}};
};

TEST_F(ClientTest, EveryVerbAsksAsKubernetesWantsIt) {
  const ResourceType slices = kResourceSlices;
  const std::string answer = R"({"metadata":{"name":"a"}})";
  Expect(std::vector<Answer>(9, Say(200, answer)));

  EXPECT_EQ(client_.Get(kPods, {"team-a", "train"}).value(), answer);
  EXPECT_EQ(Last().headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(Last().headers.at("accept"), "application/json");
  EXPECT_EQ(Last().headers.at("user-agent"), "tester/1");
  EXPECT_TRUE(client_.Create(slices, "", "{}"));
  EXPECT_EQ(Last().headers.at("content-type"), "application/json");
  EXPECT_EQ(Last().body, "{}");
  EXPECT_TRUE(client_.Update(slices, {"", "a"}, "{}"));
  EXPECT_TRUE(client_.UpdateStatus(kResourceClaims, {"ns", "c"}, "{}"));
  EXPECT_TRUE(client_.Patch(slices, {"", "a"}, PatchKind::kMerge, "{}"));
  EXPECT_EQ(Last().headers.at("content-type"), "application/merge-patch+json");
  EXPECT_TRUE(client_.Patch(slices, {"", "a"}, PatchKind::kJson, "[]"));
  EXPECT_EQ(Last().headers.at("content-type"), "application/json-patch+json");
  EXPECT_TRUE(client_.Patch(slices, {"", "a"}, PatchKind::kStrategic, "{}"));
  EXPECT_EQ(Last().headers.at("content-type"), "application/strategic-merge-patch+json");
  EXPECT_TRUE(client_.Delete(slices, {"", "a"}));
  EXPECT_EQ(Last().body, "");
  EXPECT_TRUE(client_.Delete(slices, {"", "a"}, {.uid = "u", .resource_version = "7"}));
  EXPECT_EQ(Last().body, R"({"kind":"DeleteOptions","apiVersion":"v1",)"
                         R"("preconditions":{"uid":"u","resourceVersion":"7"}})");
  EXPECT_THAT(Asked(),
              ElementsAre("GET /api/v1/namespaces/team-a/pods/train",
                          "POST /apis/resource.k8s.io/v1/resourceslices",
                          "PUT /apis/resource.k8s.io/v1/resourceslices/a",
                          "PUT /apis/resource.k8s.io/v1/namespaces/ns/resourceclaims/c/status",
                          "PATCH /apis/resource.k8s.io/v1/resourceslices/a",
                          "PATCH /apis/resource.k8s.io/v1/resourceslices/a",
                          "PATCH /apis/resource.k8s.io/v1/resourceslices/a",
                          "DELETE /apis/resource.k8s.io/v1/resourceslices/a",
                          "DELETE /apis/resource.k8s.io/v1/resourceslices/a"));
}

TEST_F(ClientTest, ARefusalKeepsItsReason) {
  Expect({Say(409, kConflict)});
  const auto result = client_.Update(kResourceSlices, {"", "a"}, "{}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kAborted);
  EXPECT_EQ(result.error().reason, "Conflict");
  EXPECT_EQ(result.error().message,
            "update /apis/resource.k8s.io/v1/resourceslices/a: the object has been modified");
  EXPECT_THAT(Asked(), SizeIs(1));
}

TEST_F(ClientTest, NamesThatWouldChangeThePathAreRefusedHere) {
  for (const char* name : {"", ".", "..", "a/b"}) {
    EXPECT_EQ(client_.Get(kNodes, {"", name}).error().code, Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(client_.Delete(kPods, {"a/../b", "x"}).error().code, Code::kInvalidArgument);
  EXPECT_THAT(Asked(), SizeIs(0));
}

TEST_F(ClientTest, ListReadsAllPages) {
  Expect({Say(200, R"({"metadata":{"resourceVersion":"5","continue":"t 1"},"items":[{"a":1}]})"),
          Say(200, R"({"metadata":{"resourceVersion":"5"},"items":[{"a":2},{"a":3}]})")});
  const auto list = client_.List(kPods, {.field_selector = "spec.nodeName=n1", .page_size = 1});
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->resource_version, "5");
  EXPECT_THAT(list->items, ElementsAre(R"({"a":1})", R"({"a":2})", R"({"a":3})"));
  EXPECT_THAT(
      Asked(),
      ElementsAre("GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=1",
                  "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=1&continue=t%201"));
}

TEST_F(ClientTest, AListThatExpiresBeginsAgainAndThenComesInOnePiece) {
  const auto first =
      Say(200, R"({"metadata":{"resourceVersion":"5","continue":"t"},"items":[{"a":1}]})");
  Expect({first, Say(410, kGone), first, Say(410, kGone),
          Say(200, R"({"metadata":{"resourceVersion":"9"},"items":[{"a":4}]})")});
  const auto list = client_.List(kPods, {.page_size = 1});
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->resource_version, "9");
  EXPECT_THAT(list->items, ElementsAre(R"({"a":4})"));
  EXPECT_EQ(Asked().back(), "GET /api/v1/pods");
}

TEST_F(ClientTest, AnEncodedListIsProtobufOrWhatElseTheServerHas) {
  const auto names = [this] {
    std::vector<std::string> seen;
    const auto version = client_.ListEncoded(
        kPods, {.page_size = 1},
        [&seen](const EncodedObject& object) -> Status {
          ASSIGN_OR_RETURN(const ObjectFacts facts, ReadObjectFacts(object));
          seen.push_back((object.IsProtobuf() ? "protobuf " : "json ") + facts.key.name);
          return {};
        },
        [&seen] { seen.clear(); });
    EXPECT_TRUE(version);
    seen.push_back(version.value_or("failed"));
    return seen;
  };
  const auto page = [](const char* token, const char* name) {
    return Say(200, FakeEnvelope("PodList", FakeList("5", token, {FakeMessage("ns", name, "1")})));
  };
  Expect({page("t", "a"), page("", "b")});
  EXPECT_THAT(names(), ElementsAre("protobuf a", "protobuf b", "5"));
  const std::string json =
      R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}}]})";
  Expect({Say(200, json)});
  EXPECT_THAT(names(), ElementsAre("json a", "7"));
  // Refused altogether: asked for once more, as JSON alone.
  Expect({Say(406, "only JSON"), Say(200, json)});
  EXPECT_THAT(names(), ElementsAre("json a", "7"));
  EXPECT_THAT(Asked(), SizeIs(2));
}

TEST_F(ClientTest, WhatDoesNoHarmIsTriedAgain) {
  Expect({Break(), Say(503, "busy"), Say(502, ""), Say(200, "done")});
  EXPECT_EQ(client_.Get(kNodes, {"", "n"}).value(), "done");
  EXPECT_THAT(Asked(), SizeIs(4));
  EXPECT_EQ(client_.stats().retries, 3U);
}

TEST_F(ClientTest, ACreateIsTriedAgainOnlyIfItWasNotExecuted) {
  Expect({Say(429, "later", "Retry-After: 0\r\n"), Say(201, "made")});
  EXPECT_EQ(client_.Create(kPods, "ns", "{}").value(), "made");

  Expect({Say(503, "busy")});
  EXPECT_EQ(client_.Create(kPods, "ns", "{}").error().code, Code::kUnavailable);
  EXPECT_THAT(Asked(), SizeIs(1));

  Expect({Break(), Break()});
  EXPECT_EQ(client_.Create(kPods, "ns", "{}").error().code, Code::kUnavailable);
  EXPECT_THAT(Asked(), SizeIs(1));
}

TEST_F(ClientTest, TheDeadlineBoundsAllTries) {
  Expect({Say(429, "later", "Retry-After: 3600\r\n"), Say(200, "never asked")});
  const auto result = client_.Get(kNodes, {"", "n"});
  EXPECT_EQ(result.error().code, Code::kResourceExhausted);
  EXPECT_THAT(Asked(), SizeIs(1));

  Expect({Hang(), Hang(), Hang()});
  ApiRequest request = GetRequest(kNodes, {"", "n"});
  request.timeout_ms = 100;
  EXPECT_EQ(client_.Do(request).error().code, Code::kDeadlineExceeded);
}

TEST_F(ClientTest, SilenceIsLeftForANewConnection) {
  Expect({Hang(), Say(200, "alive")});
  EXPECT_EQ(client_.Get(kNodes, {"", "n"}).value(), "alive");
  EXPECT_EQ(Last().connection, 2);
}

// With HTTP/1.1 every exchange under way has its own connection; what is kept tells the pools
// apart.
TEST_F(ClientTest, NothingSmallWaitsBehindAList) {
  Expect(std::vector<Answer>(4, Say(200, R"({"items":[]})")));
  ASSERT_TRUE(client_.Get(kNodes, {"", "n"}));
  const int small = Last().connection;
  ASSERT_TRUE(client_.List(kPods));
  const int large = Last().connection;
  EXPECT_NE(small, large);
  ASSERT_TRUE(client_.Patch(kPods, {"ns", "p"}, PatchKind::kMerge, "{}"));
  EXPECT_EQ(Last().connection, small);
  ASSERT_TRUE(client_.List(kPods));
  EXPECT_EQ(Last().connection, large);
}

TEST_F(ClientTest, ABusyServerIsAskedAgainWhenItSaidSo) {
  Expect({Say(429, "slower", "Retry-After: 1\r\n"), Say(201, "{}")});
  const int64_t start_ns = base::SystemClock().MonotonicNs();
  EXPECT_TRUE(client_.Create(kPods, "ns", "{}"));
  EXPECT_GE(base::SystemClock().MonotonicNs() - start_ns, 1'000'000'000);
  EXPECT_EQ(client_.stats().retries, 1U);
}

TEST_F(ClientTest, AStreamReportsHowItEnds) {
  Expect({Break(),
          [](FakeConnection& connection) {
            connection.BeginChunks();
            connection.SendChunk("{}\n");
            connection.EndChunks();
          },
          Say(410, kGone)});
  std::vector<std::string> ends;
  for (int i = 0; i < 3; ++i) {
    std::promise<std::optional<ApiFailure>> end;
    client_.Stream(
        WatchRequest(kPods, {}, "1", 300), [](std::string_view) {},
        [&end](std::optional<ApiFailure> failure) { end.set_value(std::move(failure)); });
    const auto failure = end.get_future().get();
    ends.push_back(failure ? std::string(base::CodeName(failure->error.code)) : "properly");
  }
  EXPECT_THAT(ends, ElementsAre("UNAVAILABLE", "properly", "OUT_OF_RANGE"));
  EXPECT_EQ(
      Asked().front(),
      "GET /api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=1");
}

TEST_F(ClientTest, ManyThreadsShareOneClient) {
  Expect({});
  std::vector<std::future<bool>> results;
  results.reserve(8);
  for (int i = 0; i < 8; ++i) {
    results.push_back(std::async(std::launch::async, [this] {
      for (int n = 0; n < 20; ++n) {
        if (client_.Get(kNodes, {"", "n"})) return false;
      }
      return true;
    }));
  }
  for (auto& result : results) EXPECT_TRUE(result.get());
  EXPECT_EQ(client_.stats().failures, 160U);
}

TEST_F(ClientTest, EndingTheClientEndsWhatItWaitsFor) {
  Expect({Hang(), Say(429, "", "Retry-After: 20\r\n")});
  std::vector<Code> codes;
  {
    Client client(Config(), {});
    std::promise<void> waiting;
    client.Start(GetRequest(kNodes, {"", "n"}),
                 [&](const Result<std::string>& result) { codes.push_back(result.error().code); });
    while (Asked().empty()) {
    }
    client.Start(GetRequest(kNodes, {"", "n"}),
                 [&](const Result<std::string>& result) { codes.push_back(result.error().code); });
    while (Asked().size() < 2) {
    }
  }
  EXPECT_THAT(codes, ElementsAre(Code::kCancelled, Code::kCancelled));
}

TEST_F(ClientTest, CallsWaitForThePluginAndItRunsOnce) {
  const base::TemporaryFolder folder;
  ClusterConfig config = Config();
  config.token.clear();
  config.exec = {.command = "/bin/sh",
                 .arguments = {"-c", "echo x >> " + folder.path() +
                                         R"(/runs; echo '{"kind":"ExecCredential",)"
                                         R"("status":{"token":"handed out"}}' | tr ' ' '-')"}};
  Expect(std::vector<Answer>(4, Say(200, "ok")));
  {
    Client client(config, {});
    std::vector<std::future<bool>> results;
    results.reserve(4);
    for (int i = 0; i < 4; ++i) {
      results.push_back(std::async(
          std::launch::async, [&client] { return client.Get(kNodes, {"", "n"}).has_value(); }));
    }
    for (auto& result : results) EXPECT_TRUE(result.get());
  }
  EXPECT_EQ(Last().headers.at("authorization"), "Bearer handed-out");
  EXPECT_EQ(base::ReadFile(folder / "runs", 100).value(), "x\n");
}

TEST_F(ClientTest, APluginThatFailsIsTheAnswer) {
  ClusterConfig config = Config();
  config.exec = {.command = "/bin/false"};
  Client client(config, {});
  EXPECT_EQ(client.Get(kNodes, {"", "n"}).error().code, Code::kUnauthenticated);
  EXPECT_EQ(client.Get(kNodes, {"", "n"}).error().code, Code::kUnauthenticated);
}

TEST_F(ClientTest, A401IsAskedAgainWithTheRenewedToken) {
  const base::TemporaryFolder folder;
  ClusterConfig config = Config();
  config.token_file = folder / "token";
  ASSERT_TRUE(base::WriteFileAtomically(config.token_file, "old", 0600));
  const Answer unauthorized = Say(401, R"({"kind":"Status","reason":"Unauthorized","code":401})");
  Client client(config, {});
  Expect({Say(200, "ok"), unauthorized, Say(200, "ok"), unauthorized, unauthorized});
  ASSERT_TRUE(client.Create(kPods, "ns", "{}"));
  ASSERT_TRUE(base::WriteFileAtomically(config.token_file, "new", 0600));
  EXPECT_TRUE(client.Create(kPods, "ns", "{}"));
  EXPECT_EQ(Last().headers.at("authorization"), "Bearer new");
  EXPECT_EQ(client.Create(kPods, "ns", "{}").error().code, Code::kUnauthenticated);
  EXPECT_THAT(Asked(), SizeIs(5));
}

}  // namespace
}  // namespace hami::kube
