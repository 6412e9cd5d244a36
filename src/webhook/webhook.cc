// SPDX-License-Identifier: Apache-2.0

#include "webhook/webhook.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "base/log.h"
#include "json/value.h"
#include "net/http_server.h"
#include "webhook/certificate_files.h"
#include "webhook/review.h"

namespace hami::webhook {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
// The API server takes objects of 3 MiB; an update has two of them.
constexpr size_t kMaxBodyBytes = 8 << 20;
// An API server keeps a few; each idle one costs some 70 KB of TLS.
constexpr size_t kMaxConnections = 512;
const std::vector<double>& Bounds() {
  static const std::vector<double> bounds = {0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005,
                                             0.001,   0.002,   0.005,   0.01,   0.1,    1};
  return bounds;
}

struct Metrics {
  explicit Metrics(metrics::Registry& registry)
      : reviews(registry.AddCounter("hami_webhook_reviews_total",
                                    "Admission reviews answered, by what came of them.",
                                    {"path", "result"})),
        seconds(registry
                    .AddHistogram("hami_webhook_review_seconds",
                                  "Time to decide about a review, without the network.", Bounds())
                    .With({})) {}

  metrics::Family<metrics::Counter>& reviews;
  metrics::Histogram& seconds;
};

// One per path, looked up once.
struct ResultCounters {
  ResultCounters(Metrics& metrics, const std::string& path)
      : allowed(metrics.reviews.With({path, "allowed"})),
        patched(metrics.reviews.With({path, "patched"})),
        denied(metrics.reviews.With({path, "denied"})),
        malformed(metrics.reviews.With({path, "malformed"})) {}

  void Count(const Answer& answer) {
    if (!answer.allowed) return denied.Add();
    return answer.patch.empty() ? allowed.Add() : patched.Add();
  }

  metrics::Counter& allowed;
  metrics::Counter& patched;
  metrics::Counter& denied;
  metrics::Counter& malformed;
};

bool IsJson(std::string_view content_type) {
  return content_type.empty() || content_type.starts_with("application/json");
}

}  // namespace

class Webhook::Impl {
 public:
  Impl(const WebhookOptions& options, const vendor::Registry& registry, metrics::Registry* metrics,
       const base::Clock& clock)
      : options_(options),
        clock_(clock),
        admission_(registry, options.admission),
        metrics_(*metrics),
        mutations_(metrics_, "webhook"),
        validations_(metrics_, "validate") {
    metrics->AddCallback(metrics::Type::kGauge, "hami_webhook_certificate_expiry_timestamp_seconds",
                         "When the serving certificate runs out; 0: there is none.",
                         [this] { return static_cast<double>(tls_.ExpiresAtS().value_or(0)); });
    metrics->AddCallback(metrics::Type::kCounter, "hami_webhook_certificate_failures_total",
                         "Tries to load, renew or publish the serving certificate that failed.",
                         [this] { return static_cast<double>(CertificateFailures()); });
  }

  Status Start(kube::Client* client) {
    const bool has_files = !options_.certificate_file.empty();
    const bool is_managed = !options_.managed.secret_name.empty();
    if (has_files == options_.key_file.empty()) {
      return Fail(Code::kInvalidArgument, "a certificate needs its key, and a key its certificate");
    }
    has_tls_ = has_files || is_managed;
    if (has_files) {
      ASSIGN_OR_RETURN(files_, CertificateFiles::Start(options_.certificate_file, options_.key_file,
                                                       options_.file_poll_ms, tls_));
    }
    const net::HttpServerOptions server = {.address = options_.address,
                                           .port = options_.port,
                                           .threads = options_.threads,
                                           .max_connections = kMaxConnections,
                                           .max_body_bytes = kMaxBodyBytes,
                                           .tls = has_tls_ ? &tls_ : nullptr};
    ASSIGN_OR_RETURN(server_, net::HttpServer::Start(server, Routes()));
    if (!has_files && is_managed) {
      if (client == nullptr) return Fail(Code::kInvalidArgument, "no client for the certificate");
      keeper_ = std::make_unique<CertificateKeeper>(options_.managed, *client, tls_, clock_);
    }
    return {};
  }

  uint16_t port() const { return server_->port(); }

  std::string NotReady() const {
    if (!has_tls_) return "";
    const std::optional<int64_t> expires_at_s = tls_.ExpiresAtS();
    if (!expires_at_s) {
      const std::string problem = keeper_ == nullptr ? "" : keeper_->problem();
      return problem.empty() ? "the webhook has no certificate yet"
                             : "the webhook has no certificate: " + problem;
    }
    if (*expires_at_s <= clock_.WallNs() / kSecondNs) return "the webhook's certificate has ended";
    return "";
  }

  void Stop(int64_t grace_ms) {
    if (server_ != nullptr) server_->Stop(grace_ms);
  }

 private:
  std::vector<net::Route> Routes() {
    const auto route = [this](const char* path, ResultCounters* counters,
                              Answer (PodAdmission::*decide)(const Review&) const) {
      return net::Route{"POST", path, [this, counters, decide](const net::ServerRequest& request) {
                          return Decide(request, counters, decide);
                        }};
    };
    return {route("/webhook", &mutations_, &PodAdmission::Mutate),
            route("/validate", &validations_, &PodAdmission::Validate)};
  }

  net::ServerResponse Decide(const net::ServerRequest& request, ResultCounters* counters,
                             Answer (PodAdmission::*decide)(const Review&) const) {
    if (!IsJson(request.header("content-type"))) {
      return {.status = 415, .body = "send application/json\n"};
    }
    const int64_t begun_ns = clock_.MonotonicNs();
    // Of this thread alone, with the memory of the last review.
    thread_local json::Document document;
    const Result<Review> review = ReadReview(request.body, &document);
    if (!review) {
      counters->malformed.Add();
      LOG_WARN_EVERY(30'000, "a review could not be read", Field("error", review.error()));
      return {.status = 400, .body = review.error().message + "\n"};
    }
    const Answer answer = (admission_.*decide)(*review);
    counters->Count(answer);
    if (!answer.allowed) {
      LOG_DEBUG("denied", Field("namespace", review->name_space), Field("uid", review->uid),
                Field("why", answer.message));
    }
    net::ServerResponse response = {.content_type = "application/json",
                                    .body = WriteAnswer(*review, answer)};
    metrics_.seconds.Observe(static_cast<double>(clock_.MonotonicNs() - begun_ns) / 1e9);
    return response;
  }

  uint64_t CertificateFailures() const {
    return (files_ == nullptr ? 0 : files_->stats().failures) +
           (keeper_ == nullptr ? 0 : keeper_->stats().failures);
  }

  const WebhookOptions options_;
  const base::Clock& clock_;
  const PodAdmission admission_;
  Metrics metrics_;
  ResultCounters mutations_;
  ResultCounters validations_;
  net::ServerTls tls_;
  bool has_tls_ = false;
  std::unique_ptr<CertificateFiles> files_;
  std::unique_ptr<CertificateKeeper> keeper_;
  std::unique_ptr<net::HttpServer> server_;  // last: it uses the others
};

Webhook::Webhook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Webhook::~Webhook() = default;

Result<std::unique_ptr<Webhook>> Webhook::Start(const WebhookOptions& options,
                                                const vendor::Registry& registry,
                                                kube::Client* client, metrics::Registry* metrics,
                                                const base::Clock& clock) {
  auto impl = std::make_unique<Impl>(options, registry, metrics, clock);
  RETURN_IF_ERROR(impl->Start(client));
  return std::unique_ptr<Webhook>(new Webhook(std::move(impl)));
}

uint16_t Webhook::port() const { return impl_->port(); }
std::string Webhook::NotReady() const { return impl_->NotReady(); }
void Webhook::Stop(int64_t grace_ms) { impl_->Stop(grace_ms); }

}  // namespace hami::webhook
