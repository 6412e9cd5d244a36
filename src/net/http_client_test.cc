// SPDX-License-Identifier: Apache-2.0

#include "net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "net/fake_http_server.h"
#include "net/io_thread.h"

namespace hami::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HttpClientTest : public ::testing::Test {
 protected:
  HttpResult Send(HttpRequest request, HttpClient::Data data = nullptr) {
    std::promise<HttpResult> answer;
    client_.Start(
        std::move(request), [&answer](HttpResult result) { answer.set_value(std::move(result)); },
        std::move(data));
    return answer.get_future().get();
  }

  static std::shared_ptr<const TlsSettings> Trust(const FakeCertificates& certificates) {
    return std::make_shared<const TlsSettings>(TlsSettings{.ca = certificates.ca});
  }

  IoThread thread_{"test"};
  HttpClient client_{thread_, "agent/1"};
};

TEST_F(HttpClientTest, SendsMethodHeadersAndBodyAndReadsTheAnswer) {
  FakeRequest seen;
  FakeHttpServer server([&seen](const FakeRequest& request, FakeConnection& connection) {
    seen = request;
    connection.Respond(409, "taken", "Retry-After: 7\r\n");
  });

  const HttpResult result = Send({.method = "PATCH",
                                  .url = server.url() + "/a/b?c=d",
                                  .headers = {{"Content-Type", "text/x"}, {"X-One", "1"}},
                                  .body = "body"});

  ASSERT_TRUE(result.transport) << result.transport.error().message;
  EXPECT_EQ(result.response.status, 409);
  EXPECT_EQ(result.response.body, "taken");
  EXPECT_EQ(result.response.Header("retry-after"), "7");
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/a/b?c=d");
  EXPECT_EQ(seen.headers.at("content-type"), "text/x");
  EXPECT_EQ(seen.headers.at("x-one"), "1");
  EXPECT_EQ(seen.headers.at("user-agent"), "agent/1");
  EXPECT_EQ(seen.headers.count("expect"), 0U);
  EXPECT_EQ(seen.body, "body");
}

TEST_F(HttpClientTest, EveryMethodWithAndWithoutBody) {
  FakeHttpServer server([](const FakeRequest& request, FakeConnection& connection) {
    connection.Respond(200, request.method + " " + request.body);
  });
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    EXPECT_EQ(Send({.method = method, .url = server.url()}).response.body,
              std::string(method) + " ");
  }
  const std::string large(300'000, 'x');
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
    EXPECT_EQ(Send({.method = method, .url = server.url(), .body = large}).response.body,
              std::string(method) + " " + large);
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, StreamsASuccessfulBodyInParts) {
  std::promise<void> first_seen;
  FakeHttpServer server([&first_seen](const FakeRequest&, FakeConnection& connection) {
    connection.BeginChunks();
    connection.SendChunk("one");
    first_seen.get_future().wait();
    connection.SendChunk("two");
    connection.EndChunks();
  });
  std::string text;
  const HttpResult result =
      Send({.url = server.url(), .pool = HttpPool::kStreams}, [&](std::string_view data) {
        if (text.empty()) first_seen.set_value();
        text += data;
      });
  ASSERT_TRUE(result.transport);
  EXPECT_EQ(text, "onetwo");
  EXPECT_EQ(result.response.body, "");
}

TEST_F(HttpClientTest, ARefusedStreamHasABody) {
  FakeHttpServer server(
      [](const FakeRequest&, FakeConnection& connection) { connection.Respond(410, "gone"); });
  const HttpResult result = Send({.url = server.url()}, [](std::string_view) { FAIL(); });
  EXPECT_EQ(result.response.status, 410);
  EXPECT_EQ(result.response.body, "gone");
}

TEST_F(HttpClientTest, ABrokenBodyIsAnError) {
  FakeHttpServer server([](const FakeRequest&, FakeConnection& connection) {
    connection.Send("HTTP/1.1 200 x\r\nContent-Length: 10\r\n\r\nhalf");
    connection.Close();
  });
  const HttpResult result = Send({.url = server.url()});
  ASSERT_FALSE(result.transport);
  EXPECT_EQ(result.transport.error().code, Code::kUnavailable);
  EXPECT_TRUE(result.maybe_executed);
}

TEST_F(HttpClientTest, ARefusedConnectionWasNeverSent) {
  std::string url;
  {
    url = FakeHttpServer([](const FakeRequest&, FakeConnection&) {}).url();
  }
  const HttpResult result = Send({.url = url});
  ASSERT_FALSE(result.transport);
  EXPECT_EQ(result.transport.error().code, Code::kUnavailable);
  EXPECT_FALSE(result.maybe_executed);
}

TEST_F(HttpClientTest, WhatMustNotBeDoneTwiceIsSentOnce) {
  std::atomic<int> posts{0};
  FakeHttpServer server([&posts](const FakeRequest& request, FakeConnection& connection) {
    if (request.method == "GET") return connection.Respond(200, "");
    ++posts;
    connection.Close();  // done, but the answer is lost, on a connection that was used before
  });
  for (const bool repeatable : {false, true}) {
    posts = 0;
    ASSERT_TRUE(Send({.url = server.url()}).transport);
    const HttpResult result =
        Send({.method = "POST", .url = server.url(), .body = "create", .repeatable = repeatable});
    ASSERT_FALSE(result.transport);
    EXPECT_TRUE(result.maybe_executed);
    if (repeatable) {
      EXPECT_GT(posts, 1);
    } else {
      EXPECT_EQ(posts, 1);
    }
  }
}

TEST_F(HttpClientTest, SilenceEndsTheRequestAndItsConnection) {
  FakeHttpServer server([](const FakeRequest& request, FakeConnection& connection) {
    if (request.target == "/silent") return connection.WaitForEnd();
    connection.Respond(200, std::to_string(request.connection));
  });
  EXPECT_EQ(Send({.url = server.url()}).response.body, "1");
  const HttpResult result = Send({.url = server.url() + "/silent", .idle_timeout_ms = 50});
  ASSERT_FALSE(result.transport);
  EXPECT_EQ(result.transport.error().code, Code::kDeadlineExceeded);
  EXPECT_THAT(result.transport.error().message, HasSubstr("50 ms"));
  EXPECT_EQ(Send({.url = server.url()}).response.body, "2");
}

TEST_F(HttpClientTest, ATimeoutWithoutAnswerTakesTheConnectionWithIt) {
  FakeHttpServer server([](const FakeRequest& request, FakeConnection& connection) {
    if (request.target == "/silent") return connection.WaitForEnd();
    connection.Respond(200, std::to_string(request.connection));
  });
  EXPECT_EQ(Send({.url = server.url()}).response.body, "1");
  EXPECT_EQ(Send({.url = server.url() + "/silent", .timeout_ms = 50}).transport.error().code,
            Code::kDeadlineExceeded);
  EXPECT_EQ(Send({.url = server.url()}).response.body, "2");
}

TEST_F(HttpClientTest, ABodyHasALimit) {
  FakeHttpServer server([](const FakeRequest&, FakeConnection& connection) {
    connection.Respond(200, std::string(1000, 'x'));
  });
  EXPECT_TRUE(Send({.url = server.url(), .max_body_bytes = 1000}).transport);
  const HttpResult result = Send({.url = server.url(), .max_body_bytes = 999});
  ASSERT_FALSE(result.transport);
  EXPECT_EQ(result.transport.error().code, Code::kResourceExhausted);
}

TEST_F(HttpClientTest, TlsTrustsTheGivenAuthorityAlone) {
  const FakeHttpServer::Tls tls{MakeFakeCertificates()};
  FakeHttpServer server(
      [](const FakeRequest&, FakeConnection& connection) { connection.Respond(200, "ok"); }, &tls);

  EXPECT_EQ(Send({.url = server.url(), .tls = Trust(tls.certificates)}).response.body, "ok");

  for (const auto& stranger :
       {Trust(MakeFakeCertificates()), std::make_shared<const TlsSettings>()}) {
    const HttpResult result = Send({.url = server.url(), .tls = stranger});
    ASSERT_FALSE(result.transport);
    EXPECT_EQ(result.transport.error().code, Code::kFailedPrecondition)
        << result.transport.error().message;
    EXPECT_FALSE(result.maybe_executed);
  }
  const auto blind = std::make_shared<const TlsSettings>(TlsSettings{.verify_peer = false});
  EXPECT_EQ(Send({.url = server.url(), .tls = blind}).response.body, "ok");
}

TEST_F(HttpClientTest, TheServerNameIsTheOneToBeInTheCertificate) {
  const FakeHttpServer::Tls tls{MakeFakeCertificates()};
  std::string host;
  FakeHttpServer server(
      [&host](const FakeRequest& request, FakeConnection& connection) {
        host = request.headers.at("host");
        connection.Respond(200, "ok");
      },
      &tls);
  TlsSettings settings{.ca = tls.certificates.ca, .server_name = "fake.example"};
  EXPECT_EQ(Send({.url = server.url(), .tls = std::make_shared<const TlsSettings>(settings)})
                .response.body,
            "ok");
  EXPECT_EQ(host, "127.0.0.1:" + std::to_string(server.port()));
  settings.server_name = "other.example";
  EXPECT_FALSE(
      Send({.url = server.url(), .tls = std::make_shared<const TlsSettings>(settings)}).transport);
}

TEST_F(HttpClientTest, ShowsItsCertificateAndANewOneOnANewConnection) {
  const FakeHttpServer::Tls tls{MakeFakeCertificates(), true};
  FakeHttpServer server(
      [](const FakeRequest& request, FakeConnection& connection) {
        connection.Respond(200, request.client_name + std::to_string(request.connection));
      },
      &tls);
  const auto settings = [&tls] {
    return std::make_shared<const TlsSettings>(
        TlsSettings{.ca = tls.certificates.ca,
                    .certificate = tls.certificates.client_certificate,
                    .key = tls.certificates.client_key});
  };
  EXPECT_EQ(Send({.url = server.url(), .tls = settings()}).response.body, "client1");
  EXPECT_EQ(Send({.url = server.url(), .tls = settings()}).response.body, "client1");
  // Nobody else may use that connection.
  EXPECT_FALSE(Send({.url = server.url(), .tls = Trust(tls.certificates)}).transport);
}

TEST_F(HttpClientTest, ARequestThatHangsKeepsNobodyWaiting) {
  const FakeHttpServer::Tls tls{MakeFakeCertificates()};
  for (const bool with_tls : {false, true}) {
    FakeHttpServer server(
        [](const FakeRequest& request, FakeConnection& connection) {
          if (request.target == "/hang") return connection.WaitForEnd();
          connection.Respond(200, std::to_string(request.connection));
        },
        with_tls ? &tls : nullptr);
    const auto trust = with_tls ? Trust(tls.certificates) : nullptr;
    // Both at once, so that neither knows yet whether connections to this server can be shared.
    std::promise<void> hung;
    const auto id = client_.Start({.url = server.url() + "/hang", .tls = trust},
                                  [&hung](const HttpResult&) { hung.set_value(); });
    EXPECT_EQ(Send({.url = server.url(), .tls = trust, .timeout_ms = 20'000}).response.status, 200);
    client_.Cancel(id);
    client_.Start({.url = server.url(), .tls = trust},
                  [&hung](const HttpResult&) { hung.set_value(); });
    hung.get_future().wait();
  }
}

TEST_F(HttpClientTest, CancelFromAHandlerIsTheLastWord) {
  FakeHttpServer server([](const FakeRequest&, FakeConnection& connection) {
    connection.BeginChunks();
    while (connection.SendChunk("data")) {
    }
  });
  std::promise<void> cancelled;
  std::atomic<int> calls{0};
  std::atomic<HttpClient::RequestId> id{0};
  std::promise<void> started;
  auto start = started.get_future().share();
  id = client_.Start(
      {.url = server.url(), .pool = HttpPool::kStreams}, [&calls](const HttpResult&) { ++calls; },
      [&](std::string_view) {
        start.wait();
        ++calls;
        client_.Cancel(id);
        cancelled.set_value();
      });
  started.set_value();
  cancelled.get_future().wait();
  thread_.Post([] {});
  std::promise<void> later;
  thread_.After(20, [&later] { later.set_value(); });
  later.get_future().wait();
  EXPECT_EQ(calls, 1);
}

TEST_F(HttpClientTest, AnIdCanBeCancelledBeforeItBegins) {
  FakeHttpServer server(
      [](const FakeRequest&, FakeConnection& connection) { connection.Respond(200, ""); });
  std::atomic<int> calls{0};
  std::promise<void> posted;
  thread_.Post([&] {
    client_.Cancel(client_.Start({.url = server.url()}, [&](const HttpResult&) { ++calls; }));
    posted.set_value();
  });
  posted.get_future().wait();
  EXPECT_TRUE(Send({.url = server.url()}).transport);
  EXPECT_EQ(calls, 0);
}

TEST(HttpClientEndTest, RequestsUnderWayAreToldSo) {
  FakeHttpServer server(
      [](const FakeRequest&, FakeConnection& connection) { connection.WaitForEnd(); });
  IoThread thread("test");
  std::vector<Code> codes;
  {
    HttpClient client(thread, "x");
    for (int i = 0; i < 3; ++i) {
      client.Start({.url = server.url()}, [&codes](const HttpResult& result) {
        codes.push_back(result.transport.error().code);
      });
    }
  }
  EXPECT_THAT(codes, ElementsAre(Code::kCancelled, Code::kCancelled, Code::kCancelled));
}

TEST_F(HttpClientTest, WhatIsNoAddressIsRefused) {
  for (const char* url : {"", "::", "ftp://127.0.0.1/", "file:///etc/passwd"}) {
    const HttpResult result = Send({.url = url});
    ASSERT_FALSE(result.transport) << url;
    EXPECT_EQ(result.transport.error().code, Code::kInvalidArgument) << url;
    EXPECT_FALSE(result.maybe_executed);
  }
}

}  // namespace
}  // namespace hami::net
