// SPDX-License-Identifier: Apache-2.0

#include "explain/analyse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "explain/advice.h"
#include "explain/fake_facts.h"
#include "explain/wording.h"

namespace hami::explain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Explanation Explain(const domain::ResourceClaim& claim, const ClusterFacts& cluster) {
  return Analyse(FakeQuestion(claim, {FakePod("p", "Pending")}), cluster);
}

TEST(AnalyseTest, AClassThatIsMissingComesBeforeRoom) {
  domain::ResourceClaim claim = FakeClaim("c", 1000, 1000);
  claim.requests[0].device_class = "gpu.example.com";
  ClusterFacts cluster = FakeCluster({FakeSlice("n1", 1)}, {claim});
  const Explanation explanation = Explain(claim, cluster);
  EXPECT_EQ(explanation.verdict, Verdict::kClassMissing);
  EXPECT_EQ(explanation.missing_class, "gpu.example.com");
  EXPECT_THAT(Advice(explanation), Contains(HasSubstr("exists: hami-core-gpu.project-hami.io")));
  // Who may not list classes does not know.
  cluster.classes.reset();
  EXPECT_EQ(Explain(claim, cluster).verdict, Verdict::kNeverFits);
}

TEST(AnalyseTest, AnApiThatIsNotServed) {
  ClusterFacts cluster;
  cluster.served = false;
  cluster.server_version = "v1.33.1";
  const Explanation explanation = Analyse({.namespace_name = "default", .name = "c"}, cluster);
  EXPECT_EQ(explanation.verdict, Verdict::kNotServed);
  EXPECT_THAT(Headline(explanation), HasSubstr("v1.33.1 does not serve resource.k8s.io/v1"));
  EXPECT_THAT(Advice(explanation), ElementsAre("Upgrade to Kubernetes 1.34 or newer."));
}

TEST(AnalyseTest, DevicesInPoolsThatAreNotWhole) {
  domain::ResourceSlice slice = FakeSlice("n1", 1);
  slice.pool_slices = 2;
  const domain::ResourceClaim claim = FakeClaim("c", 1, 1);
  const Explanation explanation = Explain(claim, FakeCluster({slice}, {claim}));
  EXPECT_EQ(explanation.verdict, Verdict::kIncomplete);
  EXPECT_THAT(Notes(explanation), Contains(HasSubstr("hami-core-gpu.project-hami.io/n1")));
}

TEST(AnalyseTest, TheDriverPublishesNoDevice) {
  const domain::ResourceClaim claim = FakeClaim("c", 1, 1);
  ClusterFacts cluster = FakeCluster({FakeSlice("n1", 0)}, {claim});
  cluster.nodes = std::vector<NodeFacts>{{.name = "n1", .labelled = true}, {.name = "n2"}};
  cluster.plugin =
      PluginFacts{.found = true, .namespace_name = "hami-system", .wanted = 1, .ready = 1};
  const Explanation explanation = Explain(claim, cluster);
  EXPECT_EQ(explanation.verdict, Verdict::kNotPublished);
  EXPECT_THAT(Advice(explanation), Contains(HasSubstr("lack the label gpu=on: n2")));
  EXPECT_THAT(Advice(explanation), Contains(HasSubstr("finds no GPU")));
  cluster.plugin->ready = 0;
  EXPECT_THAT(Advice(Explain(claim, cluster)),
              Contains(HasSubstr("None of the driver's 1 pods is ready: kubectl -n hami-system")));
}

TEST(AnalyseTest, SharingThatIsOff) {
  domain::ResourceSlice slice = FakeSlice("n1", 1);
  slice.devices[0].shareable = false;
  for (auto& [name, capacity] : slice.devices[0].capacity) capacity.policy.reset();
  const domain::ResourceClaim claim = FakeClaim("c", 10, 1);
  domain::ResourceClaim holder = FakeHolder("h", "n1", 0, 50, 10);
  holder.results[0].consumed.clear();
  const Explanation held = Explain(claim, FakeCluster({slice}, {claim, holder}));
  EXPECT_EQ(held.verdict, Verdict::kSharingOff);
  EXPECT_THAT(Advice(held), Contains(HasSubstr("DRAConsumableCapacity")));
  EXPECT_THAT(Advice(held), Contains(HasSubstr("Wait until default/h (pod h-pod) ends")));
  EXPECT_THAT(Advice(held), Not(Contains(HasSubstr("at most"))));
  const Explanation free = Explain(claim, FakeCluster({slice}, {claim}));
  EXPECT_EQ(free.verdict, Verdict::kFits);
  EXPECT_THAT(Notes(free), Contains(HasSubstr("DRAConsumableCapacity")));
  const Explanation allocated = Explain(holder, FakeCluster({slice}, {holder}));
  EXPECT_EQ(allocated.verdict, Verdict::kAllocated);
  EXPECT_THAT(Notes(allocated), Contains(HasSubstr("DRAConsumableCapacity")));
}

TEST(AnalyseTest, ADeviceThatIsGone) {
  const domain::ResourceClaim claim = FakeHolder("h", "n1", 0, 50, 10);
  EXPECT_EQ(Explain(claim, FakeCluster({FakeSlice("n2", 1)}, {claim})).verdict,
            Verdict::kDeviceGone);
  // Who may not list slices does not know.
  ClusterFacts blind = FakeCluster({}, {claim});
  blind.slices.reset();
  EXPECT_EQ(Explain(claim, blind).verdict, Verdict::kAllocated);
}

TEST(AnalyseTest, ACapacityThatNoDeviceHas) {
  domain::ResourceClaim claim = FakeClaim("c", 10, 1);
  claim.requests[0].capacity["vram"] = 1;
  const Explanation explanation = Explain(claim, FakeCluster({FakeSlice("n1", 1)}, {claim}));
  EXPECT_EQ(explanation.verdict, Verdict::kNeverFits);
  EXPECT_THAT(Advice(explanation), Contains(HasSubstr("Do not ask for vram: devices like "
                                                      "hami-gpu-0 have only cores, memory.")));
}

// Either alone is not enough, so both are named; one that would be enough is not.
TEST(AnalyseTest, WhoHasToEnd) {
  const domain::ResourceClaim claim = FakeClaim("c", 80, 1);
  const ClusterFacts both =
      FakeCluster({FakeSlice("n1", 1)},
                  {claim, FakeHolder("a", "n1", 0, 50, 1), FakeHolder("b", "n1", 0, 40, 1)});
  EXPECT_THAT(Advice(Explain(claim, both)),
              Contains("Wait until all of these end, or end them: default/a (pod a-pod), "
                       "default/b (pod b-pod)."));
  const ClusterFacts either =
      FakeCluster({FakeSlice("n1", 1)},
                  {claim, FakeHolder("a", "n1", 0, 20, 1), FakeHolder("b", "n1", 0, 20, 1)});
  EXPECT_THAT(Advice(Explain(claim, either)),
              Contains("Wait until one of these ends, or end it: default/a (pod a-pod), "
                       "default/b (pod b-pod)."));
}

// What is left is less than a share may have: asking for less is no way out.
TEST(AnalyseTest, NothingIsLeftToAskFor) {
  const domain::ResourceClaim claim = FakeClaim("c", 10, 10);
  domain::ResourceClaim holder = FakeHolder("h", "n1", 0, 50, 1);
  holder.results[0].consumed["memory"] = 23028 * kFakeMib;
  const Explanation explanation =
      Explain(claim, FakeCluster({FakeSlice("n1", 1)}, {claim, holder}));
  EXPECT_EQ(explanation.verdict, Verdict::kNoRoom);
  EXPECT_THAT(Advice(explanation), Not(Contains(HasSubstr("at most"))));
}

// The second request has room where the first has none: only the first is in the way.
TEST(AnalyseTest, OnlyRequestsThatLackSomethingAreBlamed) {
  domain::ResourceClaim claim = FakeClaim("c", 1, 1);
  claim.requests = {FakeRequest("big", 80, 1), FakeRequest("small", 10, 1)};
  const ClusterFacts cluster =
      FakeCluster({FakeSlice("n1", 1)}, {claim, FakeHolder("h", "n1", 0, 50, 1)});
  const Explanation explanation = Explain(claim, cluster);
  EXPECT_EQ(explanation.verdict, Verdict::kNoRoom);
  ASSERT_EQ(explanation.unserved.size(), 1U);
  EXPECT_EQ(explanation.unserved[0].request, "big");
}

TEST(AnalyseTest, AFewOthersAreListed) {
  const domain::ResourceClaim claim = FakeClaim("c", 60, 1);
  std::vector<domain::ResourceSlice> slices;
  std::vector<domain::ResourceClaim> claims = {claim};
  for (int node = 0; node < 8; ++node) {
    const std::string name = "n" + std::to_string(node);
    slices.push_back(FakeSlice(name, 1));
    claims.push_back(FakeHolder("h" + name, name, 0, 50 + node, 1));
  }
  const Explanation explanation = Explain(claim, FakeCluster(slices, claims));
  ASSERT_EQ(explanation.unserved.size(), 1U);
  EXPECT_EQ(explanation.unserved[0].nearest.device.node, "n0");
  EXPECT_EQ(explanation.unserved[0].others.size(), 4U);
  EXPECT_EQ(explanation.unserved[0].more, 3U);
}

TEST(AnalyseTest, AdminAccessNeedsNoRoom) {
  domain::ResourceClaim claim = FakeClaim("c", 0, 0);
  claim.requests[0] = {.name = "all", .device_class = dra::kDriverName, .admin_access = true};
  const ClusterFacts cluster =
      FakeCluster({FakeSlice("n1", 1)}, {claim, FakeHolder("h", "n1", 0, 100, 20)});
  EXPECT_EQ(Explain(claim, cluster).verdict, Verdict::kFits);
}

TEST(AnalyseTest, AClaimThatIsBeingDeleted) {
  domain::ResourceClaim claim = FakeHolder("h", "n1", 0, 50, 1);
  claim.deleted = true;
  EXPECT_THAT(Notes(Explain(claim, FakeCluster({FakeSlice("n1", 1)}, {claim}))),
              Contains(HasSubstr("being deleted")));
}

TEST(AnalyseTest, AnotherSchedulerThatDoesNotRun) {
  const domain::ResourceClaim claim = FakeClaim("c", 1, 1);
  PodFacts pod = FakePod("p", "Pending");
  pod.scheduler = "volcano";
  const ClusterFacts cluster = FakeCluster({FakeSlice("n1", 1)}, {claim});
  EXPECT_THAT(Advice(Analyse(FakeQuestion(claim, {pod}), cluster)),
              Contains(HasSubstr("\"volcano\": does that one run?")));
}

TEST(AnalyseTest, PhasesOfThePodsThatHold) {
  const domain::ResourceClaim claim = FakeClaim("c", 60, 1);
  Explanation explanation =
      Explain(claim, FakeCluster({FakeSlice("n1", 1)}, {claim, FakeHolder("h", "n1", 0, 50, 1)}));
  EXPECT_THAT(HoldingPods(explanation), ElementsAre("default/h-pod"));
  SetPhases({{"default/h-pod", "Running"}}, &explanation);
  EXPECT_EQ(explanation.unserved[0].nearest.holders[0].pods[0].phase, "Running");
}

}  // namespace
}  // namespace hami::explain
