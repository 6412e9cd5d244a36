// SPDX-License-Identifier: Apache-2.0
//
// The webhook as an API server meets it: over TLS.

#include "webhook/webhook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "kube/base64.h"
#include "net/fake_http_server.h"
#include "net/http_client.h"
#include "net/io_thread.h"
#include "webhook/fake_cluster.h"
#include "webhook/fake_reviews.h"

namespace hami::webhook {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kDay = 86'400;
constexpr char kSecret[] = "/api/v1/namespaces/hami-system/secrets/tls";

class TestClock : public base::Clock {
 public:
  int64_t MonotonicNs() const override { return WallNs(); }
  int64_t WallNs() const override { return now_s_ * 1'000'000'000; }
  void Advance(int64_t seconds) { now_s_ += seconds; }

 private:
  std::atomic<int64_t> now_s_{base::SystemClock().WallNs() / 1'000'000'000};
};

class WebhookTest : public ::testing::Test {
 protected:
  WebhookTest() : thread_("client"), http_(thread_, "test") {
    options_.address = "127.0.0.1";
    options_.port = 0;
    options_.file_poll_ms = 2;
  }

  Status Start(kube::Client* client = nullptr) {
    Result<std::unique_ptr<Webhook>> started =
        Webhook::Start(options_, registry_, client, &metrics_, clock_);
    if (!started) return Fail(started.error());
    webhook_ = std::move(*started);
    return {};
  }

  void UseFiles(const net::FakeCertificates& made) {
    ASSERT_TRUE(base::WriteFileAtomically(folder_ / "tls.crt", made.server_certificate, 0600));
    ASSERT_TRUE(base::WriteFileAtomically(folder_ / "tls.key", made.server_key, 0600));
    options_.certificate_file = folder_ / "tls.crt";
    options_.key_file = folder_ / "tls.key";
  }

  net::HttpResult Ask(const std::string& path, std::string body, const std::string& ca,
                      const std::string& type = "application/json",
                      const std::string& server_name = "") {
    auto tls = std::make_shared<net::TlsSettings>();
    tls->ca = ca;
    tls->server_name = server_name;
    net::HttpRequest request;
    request.method = body.empty() ? "GET" : "POST";
    request.url = (ca.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") +
                  std::to_string(webhook_->port()) + path;
    request.headers = {{"Content-Type", type}};
    request.body = std::move(body);
    request.tls = tls;
    std::promise<net::HttpResult> done;
    http_.Start(std::move(request),
                [&done](net::HttpResult result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  }

  vendor::Registry registry_ = vendor::Registry::Default();
  metrics::Registry metrics_;
  TestClock clock_;
  base::TemporaryFolder folder_;
  net::IoThread thread_;
  net::HttpClient http_;
  FakeCluster cluster_;
  kube::Client client_{cluster_.config(), {}};
  WebhookOptions options_;
  std::unique_ptr<Webhook> webhook_;
};

TEST_F(WebhookTest, AnswersReviewsOverTls) {
  const net::FakeCertificates made = net::MakeFakeCertificates();
  UseFiles(made);
  ASSERT_TRUE(Start());
  EXPECT_EQ(webhook_->NotReady(), "");
  const json pod = FakePod({{"nvidia.com/gpumem", "3000"}});
  const net::HttpResult result = Ask("/webhook?timeout=10s", FakeReview(pod).dump(), made.ca);
  ASSERT_TRUE(result.transport) << result.transport.error().message;
  EXPECT_EQ(result.response.status, 200);
  EXPECT_EQ(result.response.Header("content-type"), "application/json");
  const json response = json::parse(result.response.body)["response"];
  EXPECT_EQ(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
  EXPECT_EQ(response["allowed"], true);
  const auto patch = kube::DecodeBase64(response["patch"].get<std::string>());
  EXPECT_EQ(pod.patch(json::parse(*patch))["spec"]["schedulerName"], "hami-scheduler");

  json privileged = pod;
  privileged["spec"]["containers"][0]["securityContext"]["privileged"] = true;
  EXPECT_THAT(Ask("/webhook", FakeReview(privileged).dump(), made.ca).response.body,
              HasSubstr(R"("allowed":false)"));
  EXPECT_THAT(Ask("/webhook", FakeReview(FakePod(nullptr)).dump(), made.ca).response.body,
              HasSubstr(R"("allowed":true)"));
  EXPECT_THAT(Ask("/validate", FakeReview(pod).dump(), made.ca).response.body,
              HasSubstr("write spec.schedulerName"));
  EXPECT_EQ(Ask("/webhook", "{", made.ca).response.status, 400);
  EXPECT_EQ(Ask("/webhook", "{}", made.ca, "text/plain").response.status, 415);
  EXPECT_EQ(Ask("/webhook", "", made.ca).response.status, 405);
  EXPECT_EQ(Ask("/filter", "{}", made.ca).response.status, 404)
      << "the extender is not for the network";
  EXPECT_EQ(Ask("/webhook", std::string((8 << 20) + 1, 'x'), made.ca).response.status, 413);

  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr(R"(hami_webhook_reviews_total{path="webhook",result="patched"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(hami_webhook_reviews_total{path="webhook",result="denied"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(hami_webhook_reviews_total{path="webhook",result="allowed"} 1)"));
  EXPECT_THAT(text,
              HasSubstr(R"(hami_webhook_reviews_total{path="webhook",result="malformed"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(hami_webhook_reviews_total{path="validate",result="denied"} 1)"));
  EXPECT_THAT(text, HasSubstr("hami_webhook_review_seconds_count 4"));
}

TEST_F(WebhookTest, FilesAreReadAgainWhenTheyChange) {
  const net::FakeCertificates first = net::MakeFakeCertificates();
  const net::FakeCertificates second = net::MakeFakeCertificates();
  UseFiles(first);
  ASSERT_TRUE(Start());
  // The certificate of one and the key of the other, as a reader may find them in between.
  ASSERT_TRUE(base::WriteFileAtomically(folder_ / "tls.crt", second.server_certificate, 0600));
  while (metrics_.Text().find("hami_webhook_certificate_failures_total 0") != std::string::npos) {
    std::this_thread::yield();
  }
  const std::string review = FakeReview(FakePod(nullptr)).dump();
  EXPECT_TRUE(Ask("/webhook", review, first.ca).transport) << "the old one stays";
  UseFiles(second);
  while (!Ask("/webhook", review, second.ca).transport) std::this_thread::yield();
}

TEST_F(WebhookTest, ManagesItsOwnCertificate) {
  options_.managed.secret_namespace = "hami-system";
  options_.managed.secret_name = "tls";
  options_.managed.host_names = {"hami-scheduler.hami-system.svc"};
  options_.managed.poll_ms = 2;
  std::atomic<bool> may_start{false};
  cluster_.SetHook([&may_start](const net::FakeRequest&) { return may_start ? 0 : 403; });
  ASSERT_TRUE(Start(&client_));
  EXPECT_THAT(webhook_->NotReady(), StartsWith("the webhook has no certificate"));
  may_start = true;
  while (!webhook_->NotReady().empty()) std::this_thread::yield();
  const auto ca =
      kube::DecodeBase64(cluster_.Get(kSecret)["data"]["ca.crt"].get<std::string>()).value();
  const net::HttpResult result = Ask("/webhook", FakeReview(FakePod(nullptr)).dump(), ca,
                                     "application/json", "hami-scheduler.hami-system.svc");
  ASSERT_TRUE(result.transport) << result.transport.error().message;
  const int64_t ends_s = clock_.WallNs() / 1'000'000'000 + 90 * kDay;
  EXPECT_THAT(metrics_.Text(), HasSubstr("hami_webhook_certificate_expiry_timestamp_seconds " +
                                         std::to_string(ends_s / 1'000'000)));

  cluster_.SetHook([](const net::FakeRequest&) { return 403; });
  clock_.Advance(91 * kDay);
  EXPECT_EQ(webhook_->NotReady(), "the webhook's certificate has ended");
}

TEST_F(WebhookTest, WithoutACertificateItSpeaksPlainHttp) {
  ASSERT_TRUE(Start());
  EXPECT_EQ(webhook_->NotReady(), "");
  EXPECT_EQ(Ask("/webhook", FakeReview(FakePod(nullptr)).dump(), "").response.status, 200);
}

TEST_F(WebhookTest, OptionsThatContradictEachOtherAreRefused) {
  options_.certificate_file = "/nowhere/tls.crt";
  EXPECT_EQ(Start().error().code, Code::kInvalidArgument);
}

TEST_F(WebhookTest, FilesThatCannotBeServedAreRefusedAtTheStart) {
  options_.certificate_file = "/nowhere/tls.crt";
  options_.key_file = "/nowhere/tls.key";
  EXPECT_THAT(Start().error().message, HasSubstr("/nowhere/tls.crt"));
}

}  // namespace
}  // namespace hami::webhook
