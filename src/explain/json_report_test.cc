// SPDX-License-Identifier: Apache-2.0

#include "explain/json_report.h"

#include <gtest/gtest.h>

#include "explain/analyse.h"
#include "explain/fake_facts.h"
#include "json/value.h"

namespace hami::explain {
namespace {

TEST(JsonReportTest, AClaimThatWaits) {
  const domain::ResourceClaim big = FakeClaim("big", 60, 10);
  const ClusterFacts cluster =
      FakeCluster({FakeSlice("n1", 1)}, {big, FakeHolder("half", "n1", 0, 50, 10)});
  const Explanation explanation =
      Analyse(FakeQuestion(big, {FakeWaitingPod("train", "no room")}), cluster);
  json::Document document;
  ASSERT_TRUE(document.Parse(RenderJson({.claims = {explanation}})));
  const json::Value root = document.root();
  EXPECT_EQ(root["formatVersion"].Int(), 1);
  EXPECT_EQ(root["pod"].kind(), json::Kind::kNull);
  ASSERT_EQ(root["claims"].size(), 1U);
  const json::Value claim = *root["claims"].Elements().begin();
  EXPECT_EQ(claim["name"].Text(), "big");
  EXPECT_EQ(claim["verdict"].Text(), "no-room");
  const json::Value unserved = *claim["unserved"].Elements().begin();
  EXPECT_EQ(unserved["atMost"].Json(), R"({"cores":50})");
  const json::Value nearest = unserved["nearest"];
  EXPECT_EQ(nearest["product"].Text(), "NVIDIA A10");
  EXPECT_EQ((*nearest["capacities"].Elements().begin()).Json(),
            R"({"name":"cores","asked":60,"free":50,"total":100,"shortBy":10,)"
            R"("never":false,"unknown":false})");
  EXPECT_EQ((*nearest["heldBy"].Elements().begin()).Json(),
            R"({"claim":"default/half","amounts":{"cores":50,"memory":10737418240},)"
            R"("pods":[{"name":"half-pod","phase":""}]})");
  EXPECT_EQ(
      (*(*claim["pods"].Elements().begin())["conditions"].Elements().begin())["message"].Text(),
      "no room");
  EXPECT_EQ(claim["advice"].size(), 3U);
}

TEST(JsonReportTest, APodWithItsClaims) {
  const domain::ResourceClaim half = FakeHolder("half", "n1", 0, 50, 10);
  PodFacts pod = FakePod("half-pod", "Running");
  pod.stuck = {{.name = "c", .reason = "CrashLoopBackOff", .exit_code = 1}, {.name = "d"}};
  const ClusterFacts cluster = FakeCluster({FakeSlice("n1", 1)}, {half});
  json::Document document;
  ASSERT_TRUE(document.Parse(
      RenderJson({.pod = pod, .claims = {Analyse(FakeQuestion(half, {pod}), cluster)}})));
  const json::Value root = document.root();
  EXPECT_EQ(root["pod"]["name"].Text(), "half-pod");
  EXPECT_EQ((*root["pod"]["containers"].Elements().begin())["exitCode"].Int(), 1);
  const json::Value claim = *root["claims"].Elements().begin();
  EXPECT_EQ(claim["verdict"].Text(), "allocated");
  EXPECT_EQ((*claim["served"].Elements().begin())["amounts"].Json(),
            R"({"cores":50,"memory":10737418240})");
}

}  // namespace
}  // namespace hami::explain
