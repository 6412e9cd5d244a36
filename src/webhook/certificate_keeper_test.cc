// SPDX-License-Identifier: Apache-2.0

#include "webhook/certificate_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kube/base64.h"
#include "webhook/fake_cluster.h"

namespace hami::webhook {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kSecret[] = "/api/v1/namespaces/hami-system/secrets/hami-scheduler-tls";
constexpr char kMutating[] =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hami-webhook";
constexpr char kValidating[] =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/hami-webhook";
constexpr int64_t kDay = 86'400;

class TestClock : public base::Clock {
 public:
  int64_t MonotonicNs() const override { return WallNs(); }
  int64_t WallNs() const override { return now_s_ * 1'000'000'000; }
  void Advance(int64_t seconds) { now_s_ += seconds; }

 private:
  std::atomic<int64_t> now_s_{1'790'000'000};
};

// One process of several: a client, an identity and its keeper.
struct Replica {
  Replica(const FakeCluster& cluster, const KeeperOptions& options, const base::Clock& clock)
      : client(cluster.config(), {}), keeper(options, client, tls, clock) {}

  kube::Client client;
  net::ServerTls tls;
  CertificateKeeper keeper;
};

class CertificateKeeperTest : public ::testing::Test {
 protected:
  CertificateKeeperTest() {
    options_.secret_namespace = "hami-system";
    options_.secret_name = "hami-scheduler-tls";
    options_.mutating_configurations = {"hami-webhook"};
    options_.validating_configurations = {"hami-webhook"};
    options_.host_names = {"hami-scheduler.hami-system.svc"};
    options_.poll_ms = 2;
    const json webhooks = {{{"name", "vgpu.hami.io"}, {"clientConfig", json::object()}},
                           {{"name", "more.hami.io"}, {"clientConfig", {{"caBundle", "eA=="}}}}};
    cluster_.Put(kMutating, {{"metadata", {{"name", "hami-webhook"}}}, {"webhooks", webhooks}});
    cluster_.Put(kValidating, {{"metadata", {{"name", "hami-webhook"}}}, {"webhooks", webhooks}});
  }

  std::unique_ptr<Replica> Start() { return std::make_unique<Replica>(cluster_, options_, clock_); }

  // The test's own time limit ends a wait in vain.
  static void WaitFor(const std::function<bool()>& condition) {
    while (!condition()) std::this_thread::yield();
  }

  std::string Stored(const std::string& key) {
    const json secret = cluster_.Get(kSecret);
    if (!secret.contains("data") || !secret["data"].contains(key)) return "";
    return kube::DecodeBase64(secret["data"][key].get<std::string>()).value_or("?");
  }

  bool IsTrusted(const std::string& authorities) {
    for (const char* path : {kMutating, kValidating}) {
      const json configuration = cluster_.Get(path);
      for (const json& webhook : configuration["webhooks"]) {
        if (webhook["clientConfig"].value("caBundle", "") != kube::EncodeBase64(authorities)) {
          return false;
        }
      }
    }
    return !authorities.empty();
  }

  TestClock clock_;
  FakeCluster cluster_;
  KeeperOptions options_;
};

TEST_F(CertificateKeeperTest, MakesServesAndPublishes) {
  const auto replica = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")); });
  EXPECT_TRUE(replica->tls.IsSet());
  EXPECT_TRUE(BelongTogether(Stored("tls.crt"), Stored("tls.key"), Stored("ca.crt")));
  EXPECT_EQ(replica->tls.ExpiresAtS(), clock_.WallNs() / 1'000'000'000 + 90 * kDay);
  EXPECT_EQ(replica->keeper.stats().made, 1);
  EXPECT_EQ(replica->keeper.problem(), "");
}

TEST_F(CertificateKeeperTest, FillsTheEmptySecretOfAManifest) {
  cluster_.Put(kSecret, {{"metadata", {{"name", "hami-scheduler-tls"}, {"labels", {{"a", "b"}}}}},
                         {"type", "Opaque"}});
  const auto replica = Start();
  WaitFor([&] { return replica->tls.IsSet(); });
  EXPECT_EQ(cluster_.Get(kSecret)["metadata"]["labels"], json({{"a", "b"}})) << "only data is ours";
}

TEST_F(CertificateKeeperTest, OfManyReplicasOneWinsAndAllServeItsCertificate) {
  std::vector<std::unique_ptr<Replica>> replicas;
  for (int i = 0; i < 6; ++i) replicas.push_back(Start());
  for (const auto& replica : replicas) {
    WaitFor([&] { return replica->tls.IsSet() && replica->keeper.problem().empty(); });
  }
  uint64_t made = 0;
  for (const auto& replica : replicas) {
    made += replica->keeper.stats().made;
    EXPECT_EQ(replica->keeper.stats().loaded, 1);
  }
  EXPECT_EQ(made, 1);
}

TEST_F(CertificateKeeperTest, LoadsWhatIsThereAndWritesNothing) {
  auto first = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")); });
  first.reset();
  const int writes = cluster_.writes();
  const auto second = Start();
  WaitFor([&] { return second->tls.IsSet(); });
  EXPECT_EQ(cluster_.writes(), writes);
  EXPECT_EQ(second->keeper.stats().made, 0);
}

TEST_F(CertificateKeeperTest, RenewsWithBothTrustedAndAllFollow) {
  const auto one = Start();
  const auto two = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")) && two->tls.IsSet(); });
  const std::string first = Stored("tls.crt");
  clock_.Advance(61 * kDay);
  WaitFor([&] { return !Stored("next-tls.crt").empty() && IsTrusted(Stored("ca.crt")); });
  EXPECT_EQ(Stored("tls.crt"), first) << "the overlap has only begun";
  EXPECT_TRUE(BelongTogether(Stored("next-tls.crt"), Stored("next-tls.key"), Stored("ca.crt")));
  const std::string next = Stored("next-tls.crt");
  WaitFor([&] {
    clock_.Advance(700);
    return Stored("tls.crt") != first;
  });
  EXPECT_EQ(Stored("tls.crt"), next);
  EXPECT_EQ(Stored("next-tls.crt"), "");
  const int64_t ends_s = ReadCertificate(next)->not_after_s;
  WaitFor([&] { return one->tls.ExpiresAtS() == ends_s && two->tls.ExpiresAtS() == ends_s; });
}

TEST_F(CertificateKeeperTest, DoesNotServeTheNextWhileTheConfigurationCannotBeWritten) {
  const auto replica = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")); });
  const std::string first = Stored("tls.crt");
  cluster_.SetHook([](const net::FakeRequest& request) {
    return request.method == "PATCH" && request.target.starts_with(kMutating) ? 403 : 0;
  });
  clock_.Advance(61 * kDay);
  WaitFor([&] { return !replica->keeper.problem().empty(); });
  EXPECT_THAT(replica->keeper.problem(), HasSubstr("set caBundle of hami-webhook"));
  EXPECT_GT(replica->keeper.stats().failures, 0);
  clock_.Advance(kDay);
  const uint64_t failures = replica->keeper.stats().failures;
  WaitFor([&] { return replica->keeper.stats().failures >= failures + 3; });
  EXPECT_EQ(Stored("tls.crt"), first);
  EXPECT_TRUE(replica->tls.IsSet()) << "and serves on meanwhile";

  cluster_.SetHook(nullptr);
  WaitFor([&] {
    clock_.Advance(700);
    return Stored("tls.crt") != first;
  });
}

TEST_F(CertificateKeeperTest, MendsABundleThatSomebodyChanged) {
  const auto replica = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")); });
  json configuration = cluster_.Get(kMutating);
  configuration["webhooks"][0]["clientConfig"]["caBundle"] = "eA==";
  cluster_.Put(kMutating, configuration);
  WaitFor([&] { return IsTrusted(Stored("ca.crt")); });
}

TEST_F(CertificateKeeperTest, ServesWhatAPersonPutThere) {
  const Identity made =
      *MakeIdentity(options_.host_names, clock_.WallNs() / 1'000'000'000, 365 * kDay);
  const auto replica = Start();
  WaitFor([&] { return replica->tls.IsSet(); });
  json secret = cluster_.Get(kSecret);
  secret["data"] = {{"tls.crt", kube::EncodeBase64(made.certificate)},
                    {"tls.key", kube::EncodeBase64(made.key)},
                    {"ca.crt", kube::EncodeBase64(made.authority)}};
  cluster_.Put(kSecret, secret);
  WaitFor([&] { return IsTrusted(made.authority); });
  EXPECT_EQ(replica->tls.ExpiresAtS(), clock_.WallNs() / 1'000'000'000 + 365 * kDay);
}

TEST_F(CertificateKeeperTest, MakesAnotherWhenTheSecretIsRemovedOrBroken) {
  const auto replica = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")); });
  const std::string first = Stored("tls.crt");
  cluster_.Remove(kSecret);
  WaitFor([&] { return !Stored("tls.crt").empty() && Stored("tls.crt") != first; });
  json secret = cluster_.Get(kSecret);
  secret["data"]["tls.key"] = "not base64!";
  cluster_.Put(kSecret, secret);
  WaitFor([&] { return Stored("tls.key").find("PRIVATE KEY") != std::string::npos; });
  WaitFor([&] { return replica->keeper.stats().loaded == 3; });
}

TEST_F(CertificateKeeperTest, AnApiServerThatFailsIsAskedAgain) {
  std::atomic<int> asked{0};
  cluster_.SetHook([&asked](const net::FakeRequest&) { return ++asked < 20 ? 403 : 0; });
  const auto replica = Start();
  WaitFor([&] { return IsTrusted(Stored("ca.crt")) && replica->keeper.problem().empty(); });
  EXPECT_GT(replica->keeper.stats().failures, 0);
}

}  // namespace
}  // namespace hami::webhook
