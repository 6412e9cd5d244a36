// SPDX-License-Identifier: Apache-2.0

#include "extender/role_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>

#include "extender/fake_api.h"
#include "extender/fake_extender.h"

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

constexpr char kPods[] = "/api/v1/namespaces/hami-system/pods/";

class RoleLabelsTest : public ::testing::Test {
 protected:
  RoleLabelsTest() {
    for (const char* name : {"s-0", "s-1", "s-2"}) {
      api_.Put(kPods + std::string(name),
               {{"metadata",
                 {{"name", name},
                  {"namespace", "hami-system"},
                  {"labels", {{"app.kubernetes.io/component", "hami-scheduler"}}}}}});
    }
    api_.Put(kPods + std::string("monitor"),
             {{"metadata",
               {{"name", "monitor"},
                {"namespace", "hami-system"},
                {"labels", {{"app.kubernetes.io/component", "other"}}}}}});
  }
  void Start() {
    labels_.emplace(RoleOptions{.pod_namespace = "hami-system",
                                .pod_name = "s-1",
                                .round_ms = 1,
                                .look_again_ms = 3'600'000},
                    client_, leader_);
  }
  std::string Role(const std::string& pod) const {
    return api_.Get(kPods + pod)["metadata"]["labels"].value("hami.io/scheduler-role", "");
  }
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 3'000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  FakeApi api_;
  kube::Client client_{api_.Config(), {.user_agent = "tester"}};
  SetLeader leader_;
  std::optional<RoleLabels> labels_;  // ends first
};

TEST_F(RoleLabelsTest, ALeaderLabelsItselfAndTheOthers) {
  Start();
  EXPECT_TRUE(Eventually([this] {
    return Role("s-1") == "leader" && Role("s-0") == "follower" && Role("s-2") == "follower";
  }));
  EXPECT_EQ(Role("monitor"), "");
  labels_.reset();
  // And writes nothing where nothing is to be changed.
  EXPECT_THAT(api_.Writes(), UnorderedElementsAre("PATCH " + std::string(kPods) + "s-0",
                                                  "PATCH " + std::string(kPods) + "s-1",
                                                  "PATCH " + std::string(kPods) + "s-2"));
  Start();
  labels_.reset();
  EXPECT_EQ(api_.Writes().size(), 3U);
}

TEST_F(RoleLabelsTest, AFollowerLabelsItselfAlone) {
  leader_.left_ms = 0;
  Start();
  EXPECT_TRUE(Eventually([this] { return Role("s-1") == "follower"; }));
  labels_.reset();
  EXPECT_THAT(api_.Writes(), ElementsAre("PATCH " + std::string(kPods) + "s-1"));
}

TEST_F(RoleLabelsTest, TheLabelFollowsTheLease) {
  leader_.left_ms = 0;
  Start();
  ASSERT_TRUE(Eventually([this] { return Role("s-1") == "follower"; }));
  leader_.left_ms = 60'000;
  ASSERT_TRUE(Eventually([this] { return Role("s-1") == "leader"; }));
  leader_.left_ms = 0;
  EXPECT_TRUE(Eventually([this] { return Role("s-1") == "follower"; }));
}

}  // namespace
}  // namespace hami::extender
