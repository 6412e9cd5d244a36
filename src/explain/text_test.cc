// SPDX-License-Identifier: Apache-2.0

#include "explain/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "explain/analyse.h"
#include "explain/fake_facts.h"

namespace hami::explain {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string TextOf(const ClaimFacts& facts, const ClusterFacts& cluster) {
  return RenderText({.claims = {Analyse(facts, cluster)}});
}

std::string Golden(const std::string& name) {
  const Result<std::string> text =
      base::ReadFile(base::JoinPath(HAMI_GOLDEN_FOLDER, name + ".txt"), 65536);
  EXPECT_TRUE(text) << text.error().message;
  return text.value_or("");
}

constexpr char kUnschedulable[] = "0/1 nodes are available: 1 cannot allocate all claims.";

TEST(ExplainTextTest, NoRoomNow) {
  const domain::ResourceClaim big = FakeClaim("big", 60, 10);
  const ClusterFacts cluster = FakeCluster(
      {FakeSlice("n1", 1), FakeSlice("n2", 1)},
      {big, FakeHolder("half", "n1", 0, 50, 10), FakeHolder("whole", "n2", 0, 100, 20)});
  EXPECT_EQ(TextOf(FakeQuestion(big, {FakeWaitingPod("train", kUnschedulable)}), cluster),
            Golden("no_room"));
}

TEST(ExplainTextTest, MoreThanAnyDeviceHas) {
  const domain::ResourceClaim huge = FakeClaim("huge", 10, 40);
  const ClusterFacts cluster =
      FakeCluster({FakeSlice("n1", 1)}, {huge, FakeHolder("half", "n1", 0, 50, 10)});
  EXPECT_EQ(TextOf(FakeQuestion(huge, {FakeWaitingPod("whale", kUnschedulable)}), cluster),
            Golden("never_fits"));
}

TEST(ExplainTextTest, RoomThatIsNotTaken) {
  domain::ResourceClaim small = FakeClaim("small", 10, 1);
  small.requests[0].selectors = {"device.attributes[\"d\"].x"};
  const ClusterFacts cluster = FakeCluster({FakeSlice("n1", 1)}, {small});
  const PodFacts pod = FakeWaitingPod("picky", "1 node(s) didn't match Pod's node affinity.");
  EXPECT_EQ(TextOf(FakeQuestion(small, {pod}), cluster), Golden("fits"));
}

TEST(ExplainTextTest, NobodyUsesIt) {
  const domain::ResourceClaim small = FakeClaim("small", 10, 1);
  EXPECT_EQ(TextOf(FakeQuestion(small, {}), FakeCluster({FakeSlice("n1", 1)}, {small})),
            Golden("no_pod"));
}

TEST(ExplainTextTest, AllocatedAndRunning) {
  const domain::ResourceClaim half = FakeHolder("half", "n1", 0, 50, 10);
  EXPECT_EQ(TextOf(FakeQuestion(half, {FakePod("half-pod", "Running")}),
                   FakeCluster({FakeSlice("n1", 1)}, {half})),
            Golden("allocated"));
}

TEST(ExplainTextTest, AllocatedAndNotPrepared) {
  const domain::ResourceClaim half = FakeHolder("half", "n1", 0, 50, 10);
  PodFacts pod = FakePod("half-pod", "Pending");
  pod.node = "n1";
  pod.conditions = {{.type = "PodScheduled", .holds = true},
                    {.type = "ContainersReady",
                     .reason = "ContainersNotReady",
                     .message = "containers with unready status: [cuda]"}};
  pod.warnings = {{.reason = "FailedPrepareDynamicResources",
                   .message = "driver is not registered",
                   .count = 3}};
  EXPECT_EQ(TextOf(FakeQuestion(half, {FakePod("other", "Running"), pod}),
                   FakeCluster({FakeSlice("n1", 1)}, {half})),
            Golden("not_prepared"));
}

TEST(ExplainTextTest, AContainerThatEndsSaysMoreThanEvents) {
  const domain::ResourceClaim half = FakeHolder("half", "n1", 0, 50, 10);
  PodFacts pod = FakePod("half-pod", "Running");
  pod.conditions = {{.type = "ContainersReady", .message = "containers with unready status"}};
  pod.stuck = {{.name = "cuda", .reason = "CrashLoopBackOff", .exit_code = 139}};
  pod.warnings = {{.reason = "BackOff", .message = "restarting"}};
  const std::string text =
      TextOf(FakeQuestion(half, {pod}), FakeCluster({FakeSlice("n1", 1)}, {half}));
  EXPECT_THAT(text, HasSubstr("Its pod half-pod runs, but is not ready.\n"));
  EXPECT_THAT(text, HasSubstr("half-pod (Running)\n"
                              "           container cuda: CrashLoopBackOff, exit code 139\n"));
  EXPECT_THAT(text, Not(HasSubstr("BackOff:")));
  EXPECT_THAT(text, Not(HasSubstr("unready")));
}

// Who may not read pods learns their names from the claim; nothing is said about their state.
TEST(ExplainTextTest, APodThatMayNotBeRead) {
  const domain::ResourceClaim half = FakeHolder("half", "n1", 0, 50, 10);
  const PodFacts pod = {.namespace_name = "default", .name = "half-pod"};
  const std::string text =
      TextOf(FakeQuestion(half, {pod}), FakeCluster({FakeSlice("n1", 1)}, {half}));
  EXPECT_THAT(text, HasSubstr("Claim default/half has its device on node n1.\n"));
  EXPECT_THAT(text, HasSubstr("Pods     half-pod (unknown)\n"));
}

TEST(ExplainTextTest, TwoGpusWhereThereIsOne) {
  domain::ResourceClaim pair = FakeClaim("pair", 10, 1);
  pair.requests = {FakeRequest("a", 10, 1), FakeRequest("b", 10, 1)};
  pair.constraints = {{.attribute = "hami-core-gpu.project-hami.io/uuid", .distinct = true}};
  EXPECT_EQ(TextOf(FakeQuestion(pair, {FakeWaitingPod("two", kUnschedulable)}),
                   FakeCluster({FakeSlice("n1", 1)}, {pair})),
            Golden("two_gpus"));
}

TEST(ExplainTextTest, NothingIsPublished) {
  const domain::ResourceClaim claim = FakeClaim("c", 10, 1);
  ClusterFacts cluster = FakeCluster({}, {claim});
  cluster.nodes =
      std::vector<NodeFacts>{{.name = "n1", .ready = true}, {.name = "n2", .ready = true}};
  cluster.plugin = PluginFacts{};
  EXPECT_EQ(TextOf(FakeQuestion(claim, {}), cluster), Golden("not_published"));
}

TEST(ExplainTextTest, NoSuchClaim) {
  const ClaimFacts facts = {.namespace_name = "default",
                            .name = "haf",
                            .pods = {FakePod("train", "Pending")},
                            .similar = {"team-b/haf", "half"}};
  EXPECT_EQ(TextOf(facts, FakeCluster({}, {})), Golden("not_found"));
}

TEST(ExplainTextTest, ATemplateIsNoClaim) {
  const ClaimFacts facts = {.namespace_name = "default",
                            .name = "half-template",
                            .is_template = true,
                            .generated = {{"a", "a-gpu-x7k2p"}, {"b", ""}}};
  EXPECT_EQ(TextOf(facts, FakeCluster({}, {})), Golden("template"));
}

TEST(ExplainTextTest, APodIsPrintedOnce) {
  const domain::ResourceClaim small = FakeClaim("small", 10, 1);
  const ClusterFacts cluster = FakeCluster({FakeSlice("n1", 1)}, {small});
  const PodFacts pod = FakeWaitingPod("picky", "says the scheduler");
  const std::string text =
      RenderText({.pod = pod, .claims = {Analyse(FakeQuestion(small, {pod}), cluster)}});
  EXPECT_THAT(text, HasSubstr("Pod default/picky uses one claim.\n\nPod      picky (Pending)\n"));
  EXPECT_EQ(text.find("says the scheduler"), text.rfind("says the scheduler"));
  EXPECT_THAT(RenderText({.pod = FakePod("plain", "Running")}),
              HasSubstr("Pod default/plain uses no claim.\n"));
}

TEST(ExplainTextTest, WhatMayNotBeReadIsSaid) {
  const domain::ResourceClaim small = FakeClaim("small", 10, 1);
  ClusterFacts cluster = FakeCluster({FakeSlice("n1", 1)}, {small});
  cluster.all_claims = false;
  const std::string bounds = TextOf(FakeQuestion(small, {}), cluster);
  EXPECT_THAT(bounds, HasSubstr("what is called free here may be less"));
  cluster.slices.reset();
  cluster.gaps = {{.what = "ResourceSlices", .why = "forbidden"}};
  const std::string blind = TextOf(FakeQuestion(small, {}), cluster);
  EXPECT_THAT(blind, HasSubstr("waits: what is free cannot be said"));
  EXPECT_THAT(blind, HasSubstr("- ResourceSlices could not be read: forbidden\n"));
  EXPECT_THAT(blind, Not(HasSubstr("may be less")));
}

}  // namespace
}  // namespace hami::explain
