// SPDX-License-Identifier: Apache-2.0
//
// Reflectors that ask for streaming lists and for protobuf, on servers that have them or do not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "kube/fake_things.h"
#include "kube/reflector.h"
#include "net/fake_http_server.h"

namespace hami::kube {
namespace {

using net::FakeConnection;
using net::FakeHttpServer;
using net::FakeRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kProtobuf[] = "application/vnd.kubernetes.protobuf";

class StreamTest : public ::testing::Test {
 protected:
  using Answer = std::function<void(const FakeRequest&, FakeConnection&)>;

  static Answer Say(int status, const std::string& body, const std::string& headers = "",
                    const std::string& type = "application/json") {
    return [=](const FakeRequest&, FakeConnection& connection) {
      connection.Respond(status, body, headers, type);
    };
  }
  enum class Then { kStay, kBreak, kEnd };
  static Answer Watch(const std::string& text, Then then = Then::kStay) {
    return [=](const FakeRequest&, FakeConnection& connection) {
      connection.BeginChunks();
      if (!text.empty()) connection.SendChunk(text);
      if (then == Then::kEnd) return connection.EndChunks();
      if (then == Then::kStay) connection.WaitForEnd();
      connection.Close();
    };
  }

  void Serve(std::vector<Answer> answers, ClusterConfig config = {}) {
    server_ = std::make_unique<FakeHttpServer>(
        [this, answers = std::move(answers)](const FakeRequest& request,
                                             FakeConnection& connection) {
          size_t index = 0;
          {
            const std::lock_guard lock(mutex_);
            index = requests_.size();
            requests_.push_back(request);
          }
          if (index < answers.size()) return answers[index](request, connection);
          connection.WaitForEnd();
        });
    config.server = server_->url();
    client_ = std::make_unique<Client>(config, ClientOptions{});
  }

  FakeRequest Request(size_t index) {
    const std::lock_guard lock(mutex_);
    return requests_.at(index);
  }

  static ReflectorOptions Options(bool streaming) {
    return {.type = kConfigMaps,
            .timing = {
                .page_size = 2, .streaming = streaming, .backoff = {.first_ms = 1, .max_ms = 10}}};
  }

  static Decoders<Thing> Both() { return {DecodeThing, DecodeProtobufThing}; }

  std::mutex mutex_;
  std::vector<FakeRequest> requests_;
  std::unique_ptr<FakeHttpServer> server_;
  std::unique_ptr<Client> client_;
  Listener listener_;
};

TEST_F(StreamTest, AWatchBeginsWithEverything) {
  Serve({Watch(Event("ADDED", "a", "3", "x") + Event("ADDED", "b", "1", "y") + Bookmark("5", true) +
                   Event("MODIFIED", "a", "6", "z") + Bookmark("9", false),
               Then::kEnd),
         Watch(Event("DELETED", "b", "10", "y"))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_TRUE(reflector.WaitForSync(10'000));
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all a=x b=y", "a=z", "-b@10"));
  EXPECT_EQ(listener_.list_version, 5U);
  EXPECT_THAT(Request(0).target, HasSubstr("sendInitialEvents=true"));
  EXPECT_THAT(Request(0).target, HasSubstr("resourceVersionMatch=NotOlderThan"));
  EXPECT_THAT(Request(0).target, HasSubstr("allowWatchBookmarks=true"));
  EXPECT_THAT(Request(0).target, Not(HasSubstr("resourceVersion=")));
  EXPECT_THAT(Request(1).target, HasSubstr("resourceVersion=9"));
  EXPECT_THAT(Request(1).target, Not(HasSubstr("sendInitialEvents")));
  const ReflectorStats stats = reflector.stats();
  EXPECT_EQ(stats.lists, 1U);
  EXPECT_EQ(stats.streaming_lists, 1U);
  EXPECT_FALSE(stats.without_streaming);
}

TEST_F(StreamTest, NothingAtAllIsAListToo) {
  Serve({Watch(Bookmark("5", true))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(1), ElementsAre("all"));
}

TEST_F(StreamTest, ChangesAmongTheInitialEventsCountAfterThem) {
  Serve({Watch(Event("ADDED", "a", "1", "x") + Event("MODIFIED", "a", "6", "y") +
               Event("ADDED", "b", "2", "v") + Event("DELETED", "a", "7", "y") +
               Event("ADDED", "a", "8", "z") + Bookmark("8", true))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(5), ElementsAre("all a=x", "a=y", "b=v", "-a@7", "a=z"));
}

TEST_F(StreamTest, AListThatIsCutBeginsAgain) {
  Serve({Watch(Event("ADDED", "gone", "1", "x"), Then::kBreak),
         Watch(Event("ADDED", "a", "3", "x") + Bookmark("5", true))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(1), ElementsAre("all a=x"));
  EXPECT_THAT(Request(1).target, HasSubstr("sendInitialEvents=true"));
}

TEST_F(StreamTest, AServerWithoutStreamingListsIsListedInPages) {
  Serve(
      {Say(422, R"({"kind":"Status","reason":"Invalid","code":422,"message":"sendInitialEvents"})"),
       Say(200, List("5", Object("a", "1", "x"))),
       Watch(R"({"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}})"
             "\n"),
       Say(200, List("7", ""))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all a=x", "all"));
  EXPECT_EQ(Request(1).target, "/api/v1/configmaps?limit=2");
  EXPECT_EQ(Request(3).target, "/api/v1/configmaps?limit=2") << "it is not asked again";
  EXPECT_TRUE(reflector.stats().without_streaming);
  EXPECT_EQ(reflector.stats().streaming_lists, 0U);
}

TEST_F(StreamTest, AStreamThatNeverEndsItsListIsGivenUp) {
  const Answer endless = Watch(Event("ADDED", "a", "1", "x"), Then::kEnd);
  Serve({endless, endless, endless, Say(200, List("5", Object("b", "1", "y")))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(1), ElementsAre("all b=y"));
  EXPECT_TRUE(reflector.stats().without_streaming);
}

TEST_F(StreamTest, AnExpiredVersionIsStreamedAgain) {
  const std::string expired =
      R"({"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}})"
      "\n";
  Serve({Watch(Bookmark("5", true) + expired),
         Watch(Event("ADDED", "a", "3", "x") + Bookmark("9", true))});
  Reflector<Thing> reflector(*client_, Options(true), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all", "all a=x"));
  EXPECT_EQ(reflector.stats().streaming_lists, 2U);
}

TEST_F(StreamTest, ProtobufListsAndWatches) {
  const std::string first = FakeList("5", "more", {FakeMessage("ns", "a", "1", "x")});
  const std::string second = FakeList("5", "", {FakeMessage("ns", "b", "2", "y")});
  Serve({Say(200, FakeEnvelope("ConfigMapList", first), "", kProtobuf),
         Say(200, FakeEnvelope("ConfigMapList", second), "", kProtobuf),
         Watch(ProtobufEvent("MODIFIED", "a", "6", "z") + ProtobufBookmark("8", false) +
                   ProtobufEvent("DELETED", "b", "9", ""),
               Then::kEnd),
         Watch(ProtobufEvent("ADDED", "c", "10", "w"))});
  Reflector<Thing> reflector(*client_, Options(false), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(4), ElementsAre("all a=x b=y", "a=z", "-b@9", "c=w"));
  EXPECT_EQ(Request(0).headers.at("accept"), std::string(kProtobuf) + ", application/json");
  EXPECT_EQ(Request(2).headers.at("accept"), std::string(kProtobuf) + ", application/json");
  EXPECT_THAT(Request(3).target, HasSubstr("resourceVersion=9"));
  EXPECT_FALSE(reflector.stats().without_protobuf);
}

TEST_F(StreamTest, ProtobufStreamsToo) {
  Serve({Watch(ProtobufEvent("ADDED", "a", "1", "x") + ProtobufBookmark("5", true) +
               ProtobufEvent("MODIFIED", "a", "6", "y") +
               FakeEvent("ERROR", "Status", FakeStatus(410, "Expired", "old", "", 0))),
         Watch(ProtobufBookmark("9", true))});
  Reflector<Thing> reflector(*client_, Options(true), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all a=x", "a=y", "all"));
}

// Custom resources: the server has no protobuf of them.
TEST_F(StreamTest, JsonIsTakenWhereTheServerHasNothingElse) {
  Serve({Say(200, List("5", Object("a", "1", "x"))), Watch(Event("MODIFIED", "a", "6", "y"))});
  Reflector<Thing> reflector(*client_, Options(false), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all a=x", "a=y"));
  EXPECT_FALSE(reflector.stats().without_protobuf);
}

TEST_F(StreamTest, ProtobufThatIsNotUnderstoodIsLeftForJson) {
  Serve({Say(200, FakeEnvelope("ConfigMapList", "\xff"), "", kProtobuf),
         Say(200, List("5", Object("a", "1", "x"))), Watch(Event("MODIFIED", "a", "6", "y"))});
  Reflector<Thing> reflector(*client_, Options(false), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all a=x", "a=y"));
  EXPECT_EQ(Request(1).headers.at("accept"), "application/json");
  EXPECT_EQ(Request(2).headers.at("accept"), "application/json");
  EXPECT_TRUE(reflector.stats().without_protobuf);
}

// 406 and 415: the server, or a proxy before it, knows no protobuf.
TEST_F(StreamTest, ARefusedFormIsLeftForJson) {
  Serve({Say(406, "only JSON", "", "text/plain"), Say(200, List("5", Object("a", "1", "x"))),
         Watch(Event("MODIFIED", "a", "6", "y"))});
  Reflector<Thing> reflector(*client_, Options(false), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all a=x", "a=y"));
  EXPECT_THAT(Request(0).headers.at("accept"), HasSubstr(kProtobuf));
  EXPECT_EQ(Request(1).headers.at("accept"), "application/json");
  EXPECT_EQ(Request(2).headers.at("accept"), "application/json");
  EXPECT_TRUE(reflector.stats().without_protobuf);
}

TEST_F(StreamTest, AWatchInARefusedFormIsLeftForJson) {
  Serve({Say(200, List("5", "")), Say(415, R"({"kind":"Status","reason":"UnsupportedMediaType"})"),
         Say(200, List("6", Object("a", "1", "x"))), Watch(Event("MODIFIED", "a", "7", "y"))});
  Reflector<Thing> reflector(*client_, Options(false), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all", "all a=x", "a=y"));
  EXPECT_EQ(Request(2).headers.at("accept"), "application/json");
  EXPECT_EQ(Request(3).headers.at("accept"), "application/json");
}

TEST_F(StreamTest, ARefusedFormSaysNothingAboutStreamingLists) {
  Serve({Say(406, "only JSON", "", "text/plain"),
         Watch(Event("ADDED", "a", "1", "x") + Bookmark("5", true))});
  Reflector<Thing> reflector(*client_, Options(true), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(1), ElementsAre("all a=x"));
  EXPECT_THAT(Request(1).target, HasSubstr("sendInitialEvents=true"));
  EXPECT_EQ(Request(1).headers.at("accept"), "application/json");
  EXPECT_TRUE(reflector.stats().without_protobuf);
  EXPECT_FALSE(reflector.stats().without_streaming);
}

TEST_F(StreamTest, AFrameThatIsNotUnderstoodIsLeftForJson) {
  Serve({Say(200, FakeEnvelope("ConfigMapList", FakeList("5", "", {})), "", kProtobuf),
         Watch(std::string("\0\0\0\2\xff\xff", 6)), Say(200, List("6", Object("a", "1", "x")))});
  Reflector<Thing> reflector(*client_, Options(false), Both(), &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all", "all a=x"));
  EXPECT_EQ(Request(2).headers.at("accept"), "application/json");
}

TEST_F(StreamTest, ABusyServerIsAskedAgainWhenItSaidSo) {
  const std::string busy = R"({"kind":"Status","reason":"TooManyRequests","code":429})";
  Serve({Say(429, busy, "Retry-After: 1\r\n"), Say(200, List("5", "")),
         Say(429, busy, "Retry-After: 1\r\n"), Watch(Event("ADDED", "a", "6", "x"))});
  const int64_t start_ns = base::SystemClock().MonotonicNs();
  Reflector<Thing> reflector(*client_, Options(false), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all", "a=x"));
  EXPECT_GE(base::SystemClock().MonotonicNs() - start_ns, 2'000'000'000);
  EXPECT_THAT(Request(3).target, HasSubstr("resourceVersion=5")) << "it did not list again";
}

// The kubelet replaces a pod's token while watches run; they end when the server says so, and go on
// with the new one from where they were.
TEST_F(StreamTest, AWatchSurvivesTheRotationOfItsToken) {
  const base::TemporaryFolder folder;
  ClusterConfig config;
  config.token_file = folder / "token";
  ASSERT_TRUE(base::WriteFileAtomically(config.token_file, "old", 0600));
  const Answer refuse = [&](const FakeRequest&, FakeConnection& connection) {
    EXPECT_TRUE(base::WriteFileAtomically(config.token_file, "new", 0600));
    connection.Respond(401, R"({"kind":"Status","reason":"Unauthorized","code":401})");
  };
  Serve({Say(200, List("5", "")), Watch(Event("ADDED", "a", "6", "x"), Then::kEnd), refuse,
         Watch(Event("ADDED", "b", "7", "y"))},
        config);
  Reflector<Thing> reflector(*client_, Options(false), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all", "a=x", "b=y"));
  EXPECT_EQ(Request(2).headers.at("authorization"), "Bearer old");
  EXPECT_EQ(Request(3).headers.at("authorization"), "Bearer new");
  EXPECT_THAT(Request(3).target, HasSubstr("resourceVersion=6"));
}

// --- Cut at any byte ---

// A server with five changes after version 5, of which the first answer to a watch breaks after
// `cut` bytes; what comes later goes on from the version that is asked for.
class CutTest : public ::testing::TestWithParam<bool> {
 protected:
  struct Change {
    int version;
    std::string json;
    std::string protobuf;
  };

  static std::vector<Change> Changes() {
    std::vector<Change> changes;
    const auto add = [&changes](const char* type, const char* name, const char* value) {
      const int version = 6 + static_cast<int>(changes.size());
      const std::string text = std::to_string(version);
      changes.push_back(
          {version, Event(type, name, text, value), ProtobufEvent(type, name, text, value)});
    };
    add("ADDED", "a", "x");
    add("ADDED", "b", "y");
    add("MODIFIED", "a", "z");
    add("DELETED", "b", "y");
    add("ADDED", "c", "w");
    return changes;
  }

  std::string After(int version) const {
    std::string text;
    for (const Change& change : changes_) {
      if (change.version > version) text += GetParam() ? change.protobuf : change.json;
    }
    return text;
  }

  const std::vector<Change> changes_ = Changes();
};

TEST_P(CutTest, EveryChangeIsHeardOnce) {
  size_t cut = 0;
  bool is_cut = false;
  std::mutex mutex;
  FakeHttpServer server([&](const FakeRequest& request, FakeConnection& connection) {
    const size_t at = request.target.find("resourceVersion=");
    if (at == std::string::npos) return connection.Respond(200, List("5", ""));
    std::string text = After(std::stoi(request.target.substr(at + 16)));
    bool breaks = false;
    {
      const std::lock_guard lock(mutex);
      breaks = !std::exchange(is_cut, true);
      if (breaks) text.resize(cut);
    }
    connection.BeginChunks();
    if (!text.empty()) connection.SendChunk(text);
    if (!breaks) connection.WaitForEnd();
    connection.Close();
  });
  ClusterConfig config;
  config.server = server.url();
  Client client(config, {});
  const Decoders<Thing> decoders{DecodeThing, DecodeProtobufThing};
  const ReflectorOptions options{.type = kConfigMaps,
                                 .timing = {.backoff = {.first_ms = 1, .max_ms = 2}}};
  for (const size_t size = After(5).size(); cut <= size; ++cut) {
    {
      const std::lock_guard lock(mutex);
      is_cut = false;
    }
    Listener listener;
    Reflector<Thing> reflector(client, options, decoders, &listener);
    ASSERT_THAT(listener.WaitFor(6), ElementsAre("all", "a=x", "b=y", "a=z", "-b@9", "c=w")) << cut;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, CutTest, ::testing::Bool(),
                         [](const auto& form) { return form.param ? "Protobuf" : "Json"; });

}  // namespace
}  // namespace hami::kube
