// SPDX-License-Identifier: Apache-2.0

#include "kube/reflector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "kube/fake_things.h"
#include "kube/store.h"
#include "net/fake_http_server.h"
#include "net/io_thread.h"

namespace hami::kube {
namespace {

using net::FakeConnection;
using net::FakeHttpServer;
using net::FakeRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReflectorTest : public ::testing::Test {
 protected:
  using Answer = std::function<void(FakeConnection&)>;

  static Answer Say(int status, const std::string& body) {
    return [=](FakeConnection& connection) { connection.Respond(status, body); };
  }
  // A watch that says this and then stays open, or breaks, or ends properly.
  enum class Then { kStay, kBreak, kEnd };
  static Answer Watch(const std::string& text, Then then = Then::kStay) {
    return [=](FakeConnection& connection) {
      connection.BeginChunks();
      if (!text.empty()) connection.SendChunk(text);
      if (then == Then::kEnd) return connection.EndChunks();
      if (then == Then::kStay) connection.WaitForEnd();
      connection.Close();
    };
  }

  void Serve(std::vector<Answer> answers) {
    server_ = std::make_unique<FakeHttpServer>(
        [this, answers = std::move(answers)](const FakeRequest& request,
                                             FakeConnection& connection) {
          size_t index = 0;
          {
            const std::lock_guard lock(mutex_);
            index = targets_.size();
            targets_.push_back(request.target);
          }
          if (index < answers.size()) return answers[index](connection);
          connection.WaitForEnd();
        });
    ClusterConfig config;
    config.server = server_->url();
    client_ = std::make_unique<Client>(config, ClientOptions{.watch_silence_ms = 300});
  }

  std::string Target(size_t index) {
    const std::lock_guard lock(mutex_);
    return targets_.at(index);
  }

  static ReflectorOptions Options() {
    return {.type = kConfigMaps,
            .timing = {.page_size = 2, .backoff = {.first_ms = 1, .max_ms = 10}}};
  }

  std::mutex mutex_;
  std::vector<std::string> targets_;
  std::unique_ptr<FakeHttpServer> server_;
  std::unique_ptr<Client> client_;
  Listener listener_;
};

TEST_F(ReflectorTest, ListsAndFollows) {
  Serve({Say(200, List("5", Object("a", "1", "x") + "," + Object("b", "2", "y"))),
         Watch(Event("ADDED", "c", "6", "z") + Event("MODIFIED", "a", "7", "w") +
               R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})"
               "\n" +
               Event("DELETED", "b", "10", "y"))});
  Store<Thing> store(&listener_);
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &store);

  EXPECT_TRUE(reflector.WaitForSync(10'000));
  EXPECT_THAT(listener_.WaitFor(4), ElementsAre("all a=x b=y", "c=z", "a=w", "-b@10"));
  EXPECT_EQ(listener_.list_version, 5U);
  EXPECT_TRUE(reflector.HasSynced());
  EXPECT_EQ(store.size(), 2U);
  EXPECT_EQ(store.Find({"ns", "a"})->value, "w");
  EXPECT_EQ(store.Find({"ns", "b"}), nullptr);
  EXPECT_EQ(Target(0), "/api/v1/configmaps?limit=2");
  EXPECT_THAT(Target(1), HasSubstr("resourceVersion=5"));
  EXPECT_EQ(reflector.stats().events, 3U);
}

TEST_F(ReflectorTest, ABrokenWatchGoesOnFromTheLastWholeEvent) {
  const std::string cut = Event("ADDED", "never", "8", "n");
  Serve({Say(200, List("5", "")),
         Watch(Event("ADDED", "a", "6", "x") + cut.substr(0, cut.size() / 2), Then::kBreak),
         Watch("", Then::kEnd), Watch(Event("ADDED", "never", "8", "n"))});
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all", "a=x", "never=n"));
  EXPECT_THAT(Target(2), HasSubstr("resourceVersion=6"));
  EXPECT_THAT(Target(3), HasSubstr("resourceVersion=6"));
}

TEST_F(ReflectorTest, SilenceIsADeadConnection) {
  Serve({Say(200, List("5", "")), Watch(Event("ADDED", "a", "6", "x")),
         Watch(Event("ADDED", "b", "7", "y"))});
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all", "a=x", "b=y"));
}

TEST_F(ReflectorTest, AnExpiredVersionListsAgain) {
  const std::string expired =
      R"({"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410,"message":"old"}})"
      "\n";
  Serve({Say(200, List("5", Object("a", "1", "x"))), Watch(expired),
         Say(200, List("50", Object("b", "40", "y"))),
         Say(410, R"({"kind":"Status","reason":"Gone","code":410})"), Say(200, List("60", ""))});
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all a=x", "all b=y", "all"));
}

TEST_F(ReflectorTest, WhatCannotBeDecodedIsLeftOut) {
  Serve({Say(200, List("5", Object("a", "1", "bad") + "," + Object("b", "2", "y"))),
         Watch(Event("MODIFIED", "b", "6", "bad") + Event("MODIFIED", "b", "7", "z"))});
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(3), ElementsAre("all b=y", "-b", "b=z"));
  EXPECT_EQ(reflector.stats().undecodable, 2U);
}

TEST_F(ReflectorTest, TextThatIsNoEventListsAgain) {
  Serve({Say(200, List("5", "")), Watch("{\"type\":\"ADDED\"}\n"), Say(200, "no list"),
         Say(200, List("6", Object("a", "1", "x")))});
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all", "all a=x"));
}

TEST_F(ReflectorTest, WaitForSyncSaysWhyNot) {
  const Answer forbidden =
      Say(403, R"({"kind":"Status","reason":"Forbidden","code":403,"message":"not you"})");
  Serve(std::vector<Answer>(1000, forbidden));
  Reflector<Thing> reflector(*client_, Options(), DecodeThing, &listener_);
  const Status status = reflector.WaitForSync(100);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDeadlineExceeded);
  EXPECT_THAT(status.error().message, HasSubstr("not you"));
}

TEST_F(ReflectorTest, CallsGoWhereTheExecutorRunsThem) {
  Serve({Say(200, List("5", "")), Watch(Event("ADDED", "a", "6", "x"))});
  net::IoThread own("own");
  std::atomic<bool> elsewhere{false};
  ReflectorOptions options = Options();
  options.executor = [&own, &elsewhere](std::function<void()> task) {
    own.Post([&elsewhere, &own, task = std::move(task)] {
      if (!own.IsCurrent()) elsewhere = true;
      task();
    });
  };
  Reflector<Thing> reflector(*client_, options, DecodeThing, &listener_);
  EXPECT_THAT(listener_.WaitFor(2), ElementsAre("all", "a=x"));
  EXPECT_FALSE(elsewhere);
}

TEST_F(ReflectorTest, NothingIsCalledAfterItsEnd) {
  std::string many;
  for (int i = 0; i < 2000; ++i) many += Event("MODIFIED", "a", std::to_string(i + 6), "x");
  for (int round = 0; round < 20; ++round) {
    {
      const std::lock_guard lock(mutex_);
      targets_.clear();
    }
    // Again and again: on a busy machine a watch may be silent for long enough to count as dead.
    std::vector<Answer> answers;
    for (int i = 0; i < 8; ++i) {
      answers.push_back(Say(200, List("5", "")));
      answers.push_back(Watch(many));
    }
    Serve(std::move(answers));
    auto listener = std::make_unique<Listener>();
    {
      Reflector<Thing> reflector(*client_, Options(), DecodeThing, listener.get());
      listener->WaitFor(static_cast<size_t>(round) * 10 + 1);
    }
    listener.reset();  // the sanitizers see a call that comes now
    client_.reset();
  }
}

}  // namespace
}  // namespace hami::kube
