// SPDX-License-Identifier: Apache-2.0
//
// A cluster behind an API server as a scenario.

#include "simulate/live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "kube/client.h"
#include "net/fake_http_server.h"
#include "simulate/draw.h"
#include "simulate/engine.h"

namespace hami::simulate {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kNodeList[] =
    R"({"kind": "NodeList", "metadata": {"resourceVersion": "7"}, "items": [
  {"metadata": {"name": "n1", "annotations": {"hami.io/node-nvidia-register":
    "GPU-0,10,10000,100,A10,0,true,0,hami-core:GPU-1,10,10000,100,A10,0,true,1,hami-core:"}},
   "status": {"allocatable": {"cpu": "64", "memory": "256Gi"}}}]})";
constexpr char kPodList[] = R"({"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [
  {"metadata": {"name": "holds", "namespace": "default", "uid": "u1", "annotations": {
     "hami.io/vgpu-node": "n1",
     "hami.io/vgpu-devices-allocated": "GPU-0,NVIDIA,6000,10:;"}},
   "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"limits": {
     "nvidia.com/gpu": "1", "nvidia.com/gpumem": "6000", "nvidia.com/gpucores": "10"}}}]}},
  {"metadata": {"name": "waits", "namespace": "default", "uid": "u2"},
   "spec": {"containers": [{"name": "c", "resources": {"limits": {
     "nvidia.com/gpu": "1", "nvidia.com/gpumem": "3000", "nvidia.com/gpucores": "10"}}}]}}]})";
constexpr char kQuotaList[] = R"({"kind": "ResourceQuotaList",
  "metadata": {"resourceVersion": "7"}, "items": [
  {"metadata": {"name": "q", "namespace": "default"},
   "spec": {"hard": {"limits.nvidia.com/gpumem": "8000", "pods": "10"}}}]})";
constexpr char kRefusal[] =
    R"({"kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden"})";

// As an API server with RBAC says it; the user's name comes between.
constexpr char kForbidden[] =
    R"({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message":
  "pods is forbidden: User \")";
constexpr char kForbiddenRest[] = R"(\" cannot list resource \"pods\" at the cluster scope"})";

constexpr char kFault[] =
    R"({"kind": "Status", "status": "Failure", "message": "no", "reason": "BadRequest"})";

class LiveTest : public ::testing::Test {
 protected:
  kube::ClusterConfig Config() const {
    kube::ClusterConfig config;
    config.server = server_.url();
    return config;
  }

  std::atomic<int> quota_status_ = 200;
  std::string refused_user_;  // may not list pods; set before the first request
  net::FakeHttpServer server_{
      [this](const net::FakeRequest& request, net::FakeConnection& connection) {
        if (request.target.starts_with("/api/v1/nodes")) return connection.Respond(200, kNodeList);
        if (request.target.starts_with("/api/v1/pods")) {
          if (refused_user_.empty()) return connection.Respond(200, kPodList);
          return connection.Respond(403, kForbidden + refused_user_ + kForbiddenRest);
        }
        connection.Respond(quota_status_, quota_status_ == 200   ? kQuotaList
                                          : quota_status_ == 403 ? kRefusal
                                                                 : kFault);
      }};
  const vendor::Registry registry_ = vendor::Registry::Default();
  kube::Client client_{Config(), {.user_agent = "tester"}};
  Scenario scenario_;
};

TEST_F(LiveTest, NodesPodsAndQuotasAreRead) {
  const Status read = AddCluster(registry_, &client_, true, &scenario_);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_THAT(scenario_.nodes, SizeIs(1));
  EXPECT_THAT(scenario_.nodes[0].devices, SizeIs(2));
  ASSERT_THAT(scenario_.running, SizeIs(1));
  EXPECT_EQ(scenario_.running[0].slices.at(0).memory_mib, 6'000);
  ASSERT_THAT(scenario_.pods, SizeIs(1));
  EXPECT_EQ(scenario_.pods[0].pod.name, "waits");
  ASSERT_THAT(scenario_.quotas, SizeIs(1));
  EXPECT_THAT(scenario_.quotas[0].limits,
              ElementsAre(std::pair<const std::string, int64_t>("limits.nvidia.com/gpumem", 8000)));
  EXPECT_THAT(scenario_.notes, IsEmpty());
}

// 3 000 MiB fit on the node, and exceed the quota with the 6 000 that are held.
TEST_F(LiveTest, TheQuotaKeepsThePodOut) {
  ASSERT_TRUE(AddCluster(registry_, &client_, true, &scenario_));
  const std::vector<Arrival> arrivals = {{.pod = 0}};
  Outcome outcome = simulate::Run(registry_, scenario_, arrivals, {});
  EXPECT_EQ(outcome.waiting, 1U);
  EXPECT_THAT(outcome.pods[0].reason, HasSubstr("ResourceQuotaNotFit"));
  scenario_.quotas.clear();
  outcome = simulate::Run(registry_, scenario_, arrivals, {});
  EXPECT_EQ(outcome.placed, 1U);
}

// Many may look at nodes and pods and not at quotas.
TEST_F(LiveTest, QuotasThatMayNotBeListedAreANote) {
  quota_status_ = 403;
  ASSERT_TRUE(AddCluster(registry_, &client_, true, &scenario_));
  EXPECT_THAT(scenario_.running, SizeIs(1));
  EXPECT_THAT(scenario_.notes, ElementsAre(HasSubstr("quotas are not looked at")));
  quota_status_ = 400;
  EXPECT_FALSE(AddCluster(registry_, &client_, true, &scenario_));
}

// Ready to be copied, unless a shell would take the name for something else.
TEST_F(LiveTest, WhoMayNotListPodsIsToldWhatToGrant) {
  const auto told = [this](std::string user) {
    refused_user_ = std::move(user);
    const Status read = AddCluster(registry_, &client_, true, &scenario_);
    EXPECT_FALSE(read);
    return read ? "" : read.error().message;
  };
  const std::string alice = told("alice@example.com");
  EXPECT_THAT(alice, HasSubstr("list /api/v1/pods: pods is forbidden"));
  EXPECT_THAT(alice, HasSubstr("--resource=nodes,pods,resourcequotas\n"));
  EXPECT_THAT(alice, EndsWith("--clusterrole=hami-simulate --user=alice@example.com"));
  EXPECT_THAT(told("alice; true"), EndsWith("--user=NAME"));
}

TEST_F(LiveTest, PendingPodsComeOnlyIfWanted) {
  ASSERT_TRUE(AddCluster(registry_, &client_, false, &scenario_));
  EXPECT_THAT(scenario_.pods, IsEmpty());
  EXPECT_THAT(scenario_.running, SizeIs(1));
}

}  // namespace
}  // namespace hami::simulate
