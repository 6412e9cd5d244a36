// SPDX-License-Identifier: Apache-2.0

#include "trace/tracer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "json/value.h"
#include "net/fake_http_server.h"

namespace hami::trace {
namespace {

using ::testing::SizeIs;

constexpr char kExample[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceparentTest, TheExampleOfTheSpecificationIsReadAndWritten) {
  const auto context = ParseTraceparent(kExample);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(FormatTraceparent(*context), kExample);
  EXPECT_FALSE(
      ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")->sampled);
  EXPECT_TRUE(ParseTraceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later"));
}

TEST(TraceparentTest, WhatIsMalformedIsNone) {
  for (const char* text : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
                           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(ParseTraceparent(text)) << text;
  }
}

TEST(TraceparentTest, ASpanBelowAnotherIsOfItsTrace) {
  uint64_t next = 0;
  const Random random = [&next] { return next++; };
  const Context child = NewContext(ParseTraceparent(kExample), random);
  EXPECT_EQ(child.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(child.span_id, "0000000000000001");  // 0 is no id
  const Context root = NewContext(std::nullopt, random);
  EXPECT_EQ(root.trace_id, "00000000000000020000000000000003");
  EXPECT_TRUE(ParseTraceparent(FormatTraceparent(root)));
}

// Collects what it is sent.
class TracerTest : public ::testing::Test {
 protected:
  std::string WaitForBody() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        came_.wait_for(lock, std::chrono::seconds(20), [this] { return !bodies_.empty(); }));
    return bodies_.empty() ? "" : bodies_.front();
  }

  int status_ = 200;
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::string> bodies_;
  net::FakeHttpServer server_{[this](const net::FakeRequest& request, net::FakeConnection& client) {
    {
      const std::lock_guard lock(mutex_);
      bodies_.push_back(request.body);
    }
    came_.notify_all();
    client.Respond(status_, "{}");
  }};
};

TEST_F(TracerTest, SpansArriveAsOtlpHasThem) {
  {
    Tracer tracer({.endpoint = server_.url() + "/v1/traces", .service = "tester", .interval_ms = 5},
                  base::SystemClock());
    Span span = tracer.Begin("filter", ParseTraceparent(kExample));
    span.attributes["k8s.pod.name"] = "p";
    tracer.End(std::move(span), "no \"room\"");
    json::Document document;
    ASSERT_TRUE(document.Parse(WaitForBody()));
    const json::Value resource = *document.root()["resourceSpans"].Elements().begin();
    const json::Value attribute = *resource["resource"]["attributes"].Elements().begin();
    EXPECT_EQ(attribute["key"].Text(), "service.name");
    EXPECT_EQ(attribute["value"]["stringValue"].Text(), "tester");
    const json::Value scope = *resource["scopeSpans"].Elements().begin();
    const json::Value sent = *scope["spans"].Elements().begin();
    EXPECT_EQ(sent["traceId"].Text(), "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(sent["parentSpanId"].Text(), "00f067aa0ba902b7");
    EXPECT_THAT(sent["spanId"].Text(), SizeIs(16));
    EXPECT_EQ(sent["name"].Text(), "filter");
    EXPECT_EQ(sent["status"]["code"].Int(), 2);
    EXPECT_EQ(sent["status"]["message"].Text(), "no \"room\"");
    EXPECT_GT(std::stoll(std::string(sent["startTimeUnixNano"].Text())), 0);
    EXPECT_GE(std::stoll(std::string(sent["endTimeUnixNano"].Text())),
              std::stoll(std::string(sent["startTimeUnixNano"].Text())));
  }
}

TEST_F(TracerTest, WhatIsNotSampledIsNotSent) {
  Tracer tracer({.endpoint = server_.url(), .service = "tester", .interval_ms = 5},
                base::SystemClock());
  tracer.End(tracer.Begin(
                 "a", ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")),
             "");
  tracer.End(tracer.Begin("b", std::nullopt), "");
  EXPECT_EQ(WaitForBody().find("\"name\":\"a\""), std::string::npos);
}

TEST_F(TracerTest, WhatTheCollectorDoesNotTakeIsDroppedAndCounted) {
  status_ = 500;
  Tracer tracer({.endpoint = server_.url(),
                 .service = "tester",
                 .interval_ms = 60'000,
                 .max_batch = 2,
                 .max_waiting = 2},
                base::SystemClock());
  tracer.End(tracer.Begin("a", std::nullopt), "");
  tracer.End(tracer.Begin("b", std::nullopt), "");
  WaitForBody();
  for (int i = 0; i < 500 && tracer.stats().dropped < 2; ++i) {
    tracer.End(tracer.Begin("c", std::nullopt), "");
    std::this_thread::yield();
  }
  EXPECT_GE(tracer.stats().dropped, 2U);
  EXPECT_EQ(tracer.stats().sent, 0U);
}

}  // namespace
}  // namespace hami::trace
