// SPDX-License-Identifier: Apache-2.0

#include "kube/lease_holder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "net/fake_http_server.h"

namespace hami::kube {
namespace {

using net::FakeConnection;
using net::FakeHttpServer;
using net::FakeRequest;

// A server that keeps one Lease, with the API's rules for versions.
class LeaseHolderTest : public ::testing::Test {
 protected:
  LeaseHolderTest() {
    ClusterConfig config;
    config.server = server_.url();
    client_ = std::make_unique<Client>(config, ClientOptions{});
  }

  void Answer(const FakeRequest& request, FakeConnection& connection) {
    const std::lock_guard lock(mutex_);
    if (away_) return connection.Close();
    if (request.method == "GET") {
      if (lease_.is_null()) return Refuse(404, "NotFound", connection);
      return connection.Respond(200, lease_.dump());
    }
    const nlohmann::json body = nlohmann::json::parse(request.body);
    if (request.method == "POST") {
      if (!lease_.is_null()) return Refuse(409, "AlreadyExists", connection);
      lease_ = body;
    } else {
      EXPECT_EQ(request.method, "PATCH");
      EXPECT_EQ(request.headers.at("content-type"), "application/merge-patch+json");
      if (body["metadata"]["resourceVersion"] != lease_["metadata"]["resourceVersion"]) {
        return Refuse(409, "Conflict", connection);
      }
      lease_.merge_patch(body);
    }
    lease_["metadata"]["resourceVersion"] = std::to_string(++version_);
    if (is_silent_ && request.method == "PATCH") {
      is_silent_ = false;
      return changed_.notify_all();
    }
    connection.Respond(200, lease_.dump());
  }

  static void Refuse(int status, const std::string& reason, FakeConnection& connection) {
    connection.Respond(status, R"({"kind":"Status","details":{"name":"lease"},"reason":")" +
                                   reason + R"(","code":)" + std::to_string(status) + "}");
  }

  ElectionOptions Options(const std::string& identity) const {
    return {.lease = {"ns", "lease"},
            .identity = identity,
            .lease_s = 600,
            .renew_deadline_ms = renew_deadline_ms_,
            .retry_ms = 20};
  }

  std::unique_ptr<LeaseHolder> Stand(const std::string& identity) {
    return std::make_unique<LeaseHolder>(*client_, Options(identity), [this, identity](bool leads) {
      const std::lock_guard lock(mutex_);
      changes_.push_back((leads ? "+" : "-") + identity);
      changed_.notify_all();
    });
  }

  std::vector<std::string> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return changes_.size() >= count; });
    return changes_;
  }

  static void WaitForHolder(const LeaseHolder& watcher, const std::string& identity) {
    while (watcher.holder() != identity) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  nlohmann::json lease() {
    const std::lock_guard lock(mutex_);
    return lease_;
  }

  void SetAway(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> changes_;
  nlohmann::json lease_;
  int renew_deadline_ms_ = 60'000;  // longer than any host lets a test wait
  int version_ = 0;
  bool away_ = false;
  bool is_silent_ = false;  // about the next patch, which it takes
  FakeHttpServer server_{[this](const FakeRequest& request, FakeConnection& connection) {
    Answer(request, connection);
  }};
  std::unique_ptr<Client> client_;
};

TEST_F(LeaseHolderTest, OneLeadsAndHandsOver) {
  const auto first = Stand("a");
  EXPECT_EQ(WaitFor(1), std::vector<std::string>{"+a"});
  EXPECT_TRUE(first->IsLeader());
  EXPECT_EQ(first->holder(), "a");
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "a");
  EXPECT_EQ(lease()["spec"]["leaseDurationSeconds"], 600);

  const auto second = Stand("b");
  WaitForHolder(*second, "a");
  EXPECT_FALSE(second->IsLeader());
  EXPECT_TRUE(first->Release(10'000));
  EXPECT_EQ(WaitFor(3), (std::vector<std::string>{"+a", "-a", "+b"}));
  EXPECT_FALSE(first->IsLeader());
  EXPECT_TRUE(second->IsLeader());
  EXPECT_EQ(lease()["spec"]["leaseTransitions"], 1);
}

TEST_F(LeaseHolderTest, GivesBackThoughARenewalIsUnderWay) {
  const auto holder = Stand("a");
  WaitFor(1);
  {
    std::unique_lock lock(mutex_);
    is_silent_ = true;
    changed_.wait(lock, [this] { return !is_silent_; });
  }
  const Status given = holder->Release(10'000);
  EXPECT_TRUE(given) << (given ? "" : given.error().message);
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "");
}

TEST_F(LeaseHolderTest, KeepsWhatOthersWroteOnIt) {
  lease_ = nlohmann::json::parse(
      R"({"metadata":{"name":"lease","namespace":"ns","labels":{"l":"v"},"resourceVersion":"5"},
          "spec":{"holderIdentity":"","strategy":"s"}})");
  const auto holder = Stand("a");
  WaitFor(1);
  EXPECT_EQ(lease()["metadata"]["labels"]["l"], "v");
  EXPECT_EQ(lease()["spec"]["strategy"], "s");
}

TEST_F(LeaseHolderTest, LeadsNoLongerWhenTheServerIsAway) {
  renew_deadline_ms_ = 400;
  const auto holder = Stand("a");
  WaitFor(1);
  SetAway(true);
  EXPECT_EQ(WaitFor(2).back(), "-a");
  EXPECT_FALSE(holder->IsLeader());
  SetAway(false);
  EXPECT_EQ(WaitFor(3).back(), "+a");
}

TEST_F(LeaseHolderTest, NothingIsGivenBackThatIsNotOurs) {
  lease_ = nlohmann::json::parse(
      R"({"metadata":{"name":"lease","namespace":"ns","resourceVersion":"5"},
          "spec":{"holderIdentity":"z","leaseDurationSeconds":600,
                  "renewTime":"2026-08-21T10:00:00.000000Z"}})");
  const auto holder = Stand("a");
  WaitForHolder(*holder, "z");
  EXPECT_TRUE(holder->Release(10'000));
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "z");
}

}  // namespace
}  // namespace hami::kube
