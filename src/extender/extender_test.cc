// SPDX-License-Identifier: Apache-2.0

#include "extender/extender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "base/timestamp.h"
#include "domain/names.h"
#include "extender/binder.h"
#include "extender/fake_extender.h"

namespace hami::extender {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
constexpr int64_t kMs = 1'000'000;

TEST_F(ExtenderTest, AFilterChoosesOneNodeAndReserves) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  const Json answer = Filter(PodJson("a", "ua", 1, 6'000, 10), {"n1", "n2"});
  EXPECT_THAT(answer["NodeNames"], SizeIs(1));
  EXPECT_EQ(answer["Error"], "");
  EXPECT_TRUE(answer["FailedNodes"].is_null());
  EXPECT_EQ(MemoryUsed(answer["NodeNames"][0]), 6'000);
  EXPECT_THAT(Events(), ElementsAre("FilteringSucceed"));
  EXPECT_THAT(api_.Writes(), IsEmpty());
}

TEST_F(ExtenderTest, APodWithoutDevicesPassesUnchanged) {
  const Json answer = Filter(PodJson("a", "ua", 0, 0, 0), {"n1", "n2"});
  EXPECT_EQ(answer["NodeNames"], Json({"n1", "n2"}));
  EXPECT_EQ(answer["Error"], "");
}

TEST_F(ExtenderTest, WhatFitsNowhereSaysWhyForEachNode) {
  PutNode("n1", 1, 10'000);
  const Json answer = Filter(PodJson("a", "ua", 1, 60'000, 10), {"n1", "n9"});
  EXPECT_THAT(answer["NodeNames"], SizeIs(0));
  EXPECT_EQ(answer["FailedNodes"]["n1"], "1/1 CardInsufficientMemory");
  EXPECT_EQ(answer["FailedNodes"]["n9"], "node unregistered");
  EXPECT_EQ(answer["Error"], "");
  EXPECT_THAT(Events(), Contains("FilteringFailed"));
  EXPECT_EQ(state_.Figures().waiting, 1);
}

// One container more than GPUs, each of which takes one, and no two of which count as alike.
TEST_F(ExtenderTest, ASearchThatGivesUpIsSeen) {
  PutNode("n1", 10, 1'000);
  Json pod = PodJson("a", "ua", 1, 900, 0);
  pod["metadata"]["annotations"]["nvidia.com/nouse-gpuuuid"] = "GPU-other";
  const Json container = pod["spec"]["containers"][0];
  for (int i = 1; i <= 10; ++i) {
    pod["spec"]["containers"].push_back(container);
    pod["spec"]["containers"].back()["name"] = "c" + std::to_string(i);
  }
  const Json answer = Filter(pod, {"n1"});
  EXPECT_THAT(answer["FailedNodes"]["n1"].get<std::string>(),
              HasSubstr("gave up after 40000 steps"));
  EXPECT_THAT(metrics_registry_.Text(), HasSubstr("hami_scheduler_searches_given_up_total 1\n"));
}

TEST_F(ExtenderTest, NeitherNodesNorNamesIsAClearError) {
  const Json answer =
      Json::parse(extender_.Filter(Json({{"Pod", PodJson("a", "ua", 1, 1, 1)}}).dump()));
  EXPECT_THAT(answer["Error"].get<std::string>(), HasSubstr("neither NodeNames nor Nodes"));
  EXPECT_EQ(Json::parse(extender_.Filter("{\"Pod\":{}"))["NodeNames"], Json());
}

TEST_F(ExtenderTest, AnAnnotationThatCannotBeReadFailsTheFilter) {
  PutNode("n1", 1, 10'000);
  Json pod = PodJson("a", "ua", 1, 6'000, 10);
  pod["metadata"]["annotations"][std::string(domain::kScoringWeights)] = "slot=1";
  const Json answer = Filter(pod, {"n1"});
  EXPECT_THAT(answer["Error"].get<std::string>(), Not(IsEmpty()));
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ExtenderTest, WholeNodesAreDecidedOnLikeNames) {
  PutNode("n1", 1, 10'000);
  const Json body = {{"Pod", PodJson("a", "ua", 1, 6'000, 10)},
                     {"Nodes", {{"items", {NodeJson("n1", true, 1, 10'000)}}}}};
  const Json answer = Json::parse(extender_.Filter(body.dump()));
  ASSERT_THAT(answer["Nodes"]["items"], SizeIs(1));
  EXPECT_EQ(answer["Nodes"]["items"][0]["metadata"]["name"], "n1");
  EXPECT_EQ(MemoryUsed(), 6'000);
}

TEST_F(ExtenderTest, ABodyOfEightMebibytesIsRead) {
  PutNode("n1", 1, 10'000);
  std::vector<std::string> names = {"n1"};
  for (int i = 0; i < 100'000; ++i) {
    names.push_back("a-node-with-a-long-name-as-clouds-give-them-in-a-region-somewhere-" +
                    std::to_string(i) + ".compute.internal");
  }
  const Json answer = Filter(PodJson("a", "ua", 1, 6'000, 10), names);
  EXPECT_EQ(answer["NodeNames"], Json({"n1"}));
}

TEST_F(ExtenderTest, OneWriteBindsAndCarriesTheDecision) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_THAT(api_.Writes(), ElementsAre("POST /api/v1/namespaces/default/pods/a/binding"));
  const Json bound = Pod("a");
  EXPECT_EQ(bound["spec"]["nodeName"], "n1");
  const Json& annotations = bound["metadata"]["annotations"];
  EXPECT_EQ(annotations["hami.io/vgpu-devices-allocated"], "GPU-n1-0,NVIDIA,6000,10:;");
  EXPECT_EQ(annotations["hami.io/vgpu-devices-to-allocate"], "GPU-n1-0,NVIDIA,6000,10:;");
  EXPECT_EQ(annotations["hami.io/vgpu-node"], "n1");
  EXPECT_THAT(annotations["hami.io/allocation"].get<std::string>(),
              ::testing::MatchesRegex("v1,[0-9a-f]{16}"));
  EXPECT_FALSE(annotations.contains("hami.io/bind-phase"));
  EXPECT_THAT(Events(), ::testing::UnorderedElementsAre("FilteringSucceed", "BindingSucceed"));
}

// What a Binding may carry (contract binding-and-identity.md, A): uid and annotations. Labels are
// copied from Kubernetes 1.35 on only; with a resourceVersion any other write to the pod would
// refuse it.
TEST(BindingBodyTest, HasUidTargetAndAnnotationsAlone) {
  Reservation reservation;
  reservation.pod = {"ns", "p"};
  reservation.uid = "u1";
  reservation.version = 7;
  reservation.facts.node = "n1";
  const auto body = [&reservation] { return FakeApi::Json::parse(BindingBody(reservation)); };
  FakeApi::Json expected = {{"apiVersion", "v1"},
                            {"kind", "Binding"},
                            {"metadata", {{"name", "p"}, {"namespace", "ns"}, {"uid", "u1"}}},
                            {"target", {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", "n1"}}}};
  EXPECT_EQ(body(), expected);
  reservation.annotations = {{"hami.io/vgpu-node", "n1"}};
  expected["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n1"}};
  EXPECT_EQ(body(), expected);
}

TEST_F(ExtenderTest, ABindWithoutAReservationFitsAgainOnThatNode) {
  PutNode("n1", 1, 10'000);
  PutPod(PodJson("a", "ua", 1, 6'000, 10));
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_EQ(MemoryUsed(), 6'000);
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["hami.io/vgpu-devices-allocated"],
            "GPU-n1-0,NVIDIA,6000,10:;");
  PutPod(PodJson("b", "ub", 1, 6'000, 10));
  EXPECT_THAT(Bind("b", "ub", "n1")["Error"].get<std::string>(), HasSubstr("no room"));
  EXPECT_FALSE(Pod("b")["spec"].contains("nodeName"));
}

TEST_F(ExtenderTest, APodOfAnotherUidIsNotBound) {
  PutNode("n1", 1, 10'000);
  PutPod(PodJson("a", "new", 1, 6'000, 10));
  EXPECT_THAT(Bind("a", "old", "n1")["Error"].get<std::string>(), HasSubstr("another has"));
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ExtenderTest, APodThatIsGoneGivesItsRoomBack) {
  PutNode("n1", 1, 10'000);
  Filter(PodJson("a", "ua", 1, 6'000, 10), {"n1"});
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("NotFound"));
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_THAT(Events(), Contains("BindingFailed"));
}

TEST_F(ExtenderTest, AnAnswerThatWasLostIsFoundToBeASuccess) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  api_.SetHook([this](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/binding")) return false;
    Json bound = Pod("a");
    const Json body = Json::parse(request.body);
    bound["spec"]["nodeName"] = body["target"]["name"];
    bound["metadata"]["annotations"] = body["metadata"]["annotations"];
    PutPod(bound);
    connection.Close();
    return true;
  });
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_EQ(MemoryUsed(), 6'000);
}

TEST_F(ExtenderTest, APodThatAnotherBoundIsNoSuccess) {
  PutNode("n1", 1, 10'000);
  Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  // The same node, but not our decision.
  pod["spec"]["nodeName"] = "n1";
  pod["metadata"]["annotations"]["hami.io/allocation"] = "v1,0000000000000000";
  PutPod(pod);
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("already"));
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ExtenderTest, AWriteThatMayStillArriveKeepsItsRoom) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  api_.SetHook([](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/binding")) return false;
    connection.Close();
    return true;
  });
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), Not(IsEmpty()));
  EXPECT_EQ(MemoryUsed(), 6'000);
  EXPECT_EQ(state_.Figures().reservations[Hold::kUncertain], 1);
}

TEST_F(ExtenderTest, ARefusalOfTheServerFreesTheRoom) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  api_.SetHook([](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/binding")) return false;
    connection.Respond(403, R"({"kind":"Status","message":"no","reason":"Forbidden","code":403})");
    return true;
  });
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("no"));
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ExtenderTest, WhoDoesNotLeadNeitherDecidesNorBinds) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  leader_.left_ms = 0;
  EXPECT_THAT(Filter(PodJson("b", "ub", 1, 1'000, 10), {"n1"})["Error"].get<std::string>(),
              HasSubstr("another leads"));
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("another leads"));
  // A lease that ends sooner than a write could.
  leader_.left_ms = 700;
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("too little time"));
  EXPECT_THAT(api_.Writes(), IsEmpty());
  EXPECT_FALSE(Pod("a")["spec"].contains("nodeName"));
}

TEST_F(ExtenderTest, ABindTakesNoLongerThanTheLeaseHas) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  api_.SetHook([](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/binding")) return false;
    connection.WaitForEnd();
    return true;
  });
  leader_.left_ms = 1'000;
  const int64_t begun_ns = base::SystemClock().MonotonicNs();
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), Not(IsEmpty()));
  EXPECT_LT(base::SystemClock().MonotonicNs() - begun_ns, 4'000 * kMs);
}

TEST_F(ExtenderTest, APodIsNotWrittenPastWhatItsAnnotationsMayHave) {
  PutNode("n1", 1, 10'000);
  Json pod = PodJson("a", "ua", 1, 6'000, 10);
  // Also what is kept of no pod counts there.
  pod["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
      std::string(200 << 10, 'x');
  EXPECT_THAT(Filter(pod, {"n1"})["Error"].get<std::string>(), HasSubstr("bytes"));
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ExtenderTest, APodWithoutDevicesIsBoundPlainly) {
  PutNode("n1", 1, 10'000);
  PutPod(PodJson("a", "ua", 0, 0, 0));
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_EQ(Pod("a")["spec"]["nodeName"], "n1");
  EXPECT_FALSE(Pod("a")["metadata"].contains("annotations"));
}

// --- HAMi's protocol ---

TEST_F(ExtenderTest, ANodeOfHamisPluginIsLockedAndThePodPatched) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_THAT(api_.Writes(),
              ElementsAre("PATCH /api/v1/nodes/n1", "PATCH /api/v1/namespaces/default/pods/a",
                          "POST /api/v1/namespaces/default/pods/a/binding"));
  const Json bound = Pod("a");
  EXPECT_EQ(bound["spec"]["nodeName"], "n1");
  EXPECT_EQ(bound["metadata"]["labels"]["hami.io/vgpu-node"], "n1");
  EXPECT_EQ(bound["metadata"]["annotations"]["hami.io/bind-phase"], "allocating");
  EXPECT_TRUE(bound["metadata"]["annotations"].contains("hami.io/bind-time"));
  EXPECT_EQ(bound["metadata"]["annotations"]["hami.io/vgpu-devices-to-allocate"],
            "GPU-n1-0,NVIDIA,6000,10:;");
  // It is the plugin that gives the lock back.
  const std::string lock =
      api_.Get("/api/v1/nodes/n1")["metadata"]["annotations"]["hami.io/mutex.lock"];
  EXPECT_THAT(lock, ::testing::MatchesRegex("[-0-9]+T[:0-9]+Z,default,a"));
  EXPECT_THAT(metrics_registry_.Text(),
              HasSubstr("hami_scheduler_binds_total{protocol=\"hami\"} 1"));
}

TEST_F(ExtenderTest, ALockOfAnotherPodIsRespected) {
  PutNode("n1", 1, 10'000, false);
  const Json a = PodJson("a", "ua", 1, 3'000, 10);
  const Json b = PodJson("b", "ub", 1, 3'000, 10);
  PutPod(a);
  PutPod(b);
  Filter(a, {"n1"});
  Filter(b, {"n1"});
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_EQ(Bind("b", "ub", "n1")["Error"],
            "node n1 has been locked within 5m0s: node lock contention");
  EXPECT_EQ(MemoryUsed(), 3'000);
  EXPECT_FALSE(Pod("b")["spec"].contains("nodeName"));
  EXPECT_FALSE(Pod("b")["metadata"].contains("annotations") &&
               Pod("b")["metadata"]["annotations"].contains("hami.io/vgpu-node"));
}

TEST_F(ExtenderTest, ALockIsTakenOverWhenItRanOutOrItsPodIsGone) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  for (const char* lock : {"2020-01-01T00:00:00Z,default,b", "2099-01-01T00:00:00Z,default,gone",
                           "2099-01-01T00:00:00Z,default,a", "2020-01-01T00:00:00Z"}) {
    PutPod(PodJson("b", "ub", 1, 1, 1));
    PutPod(pod);
    Json node = NodeJson("n1", false, 1, 10'000);
    node["metadata"]["annotations"]["hami.io/mutex.lock"] = lock;
    api_.Put("/api/v1/nodes/n1", node);
    state_.Release("ua");
    Filter(pod, {"n1"});
    EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "") << lock;
    state_.pods().OnDelete({"default", "a"}, 0);
    api_.Delete("/api/v1/namespaces/default/pods/a");
  }
}

// Contract 1.9, 6.1: MLU has a lock without an owner, for two minutes; AWS Neuron has none.
class OtherVendorsLocksTest : public ExtenderTest {
 protected:
  OtherVendorsLocksTest() {
    node_ = NodeJson("n1", false, 1, 10'000);
    node_["status"]["capacity"].update({{"cambricon.com/mlu.smlu.vcore", "100"},
                                        {"cambricon.com/mlu.smlu.vmemory", "192"},
                                        {"aws.amazon.com/neuron", "1"},
                                        {"aws.amazon.com/neuroncore", "2"}});
    api_.Put("/api/v1/nodes/n1", node_);
    json::Document document;
    EXPECT_TRUE(document.Parse(node_.dump()));
    state_.nodes().OnUpsert(
        std::make_shared<const NodeEntry>(ReadNodeEntry(registry_, document.root()).value()));
  }
  Json MakePod(const std::string& name, const Json& limits) {
    Json pod = PodJson(name, "u" + name, 0, 0, 0);
    pod["spec"]["containers"][0]["resources"]["limits"] = limits;
    PutPod(pod);
    return pod;
  }
  Json MluPod(const std::string& name) {
    return MakePod(name, {{"cambricon.com/vmlu", "1"},
                          {"cambricon.com/mlu.smlu.vmemory", "20"},
                          {"cambricon.com/mlu.smlu.vcore", "10"}});
  }
  void SetMluLock(const std::string& value) {
    node_["metadata"]["annotations"]["cambricon.com/dsmlu.lock"] = value;
    api_.Put("/api/v1/nodes/n1", node_);
  }
  Json NodeAnnotations() const { return api_.Get("/api/v1/nodes/n1")["metadata"]["annotations"]; }
  std::string PlaceAndBind(const Json& pod) {
    EXPECT_THAT(Filter(pod, {"n1"})["NodeNames"], SizeIs(1));
    return Bind(pod["metadata"]["name"], pod["metadata"]["uid"], "n1")["Error"];
  }

  Json node_;
};

TEST_F(OtherVendorsLocksTest, MluHasOneOfItsOwn) {
  EXPECT_EQ(PlaceAndBind(MluPod("a")), "");
  const std::string lock = NodeAnnotations()["cambricon.com/dsmlu.lock"];
  EXPECT_THAT(lock, ::testing::MatchesRegex("[-0-9]+T[:0-9]+Z"));
  EXPECT_FALSE(NodeAnnotations().contains("hami.io/mutex.lock"));
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["CAMBRICON_DSMLU_PROFILE"], "0_10_20");
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["CAMBRICON_DSMLU_ASSIGNED"], "false");

  EXPECT_THAT(PlaceAndBind(MluPod("b")), HasSubstr("node lock contention"));
  EXPECT_EQ(NodeAnnotations()["cambricon.com/dsmlu.lock"], lock);
  EXPECT_FALSE(Pod("b")["spec"].contains("nodeName"));
}

TEST_F(OtherVendorsLocksTest, MlusRunsOutAfterTwoMinutes) {
  constexpr int64_t kSecond = 1'000 * kMs;
  const int64_t now_ns = base::SystemClock().WallNs();
  SetMluLock(base::FormatTimestamp(now_ns - 90 * kSecond));
  EXPECT_THAT(PlaceAndBind(MluPod("a")), HasSubstr("node lock contention"));
  SetMluLock(base::FormatTimestamp(now_ns - 121 * kSecond));
  EXPECT_EQ(PlaceAndBind(MluPod("b")), "");
}

// In HAMi any bind that fails on the node takes it away.
TEST_F(OtherVendorsLocksTest, MlusStaysWhenABindOfAnotherVendorFails) {
  const std::string lock = base::FormatTimestamp(base::SystemClock().WallNs());
  SetMluLock(lock);
  const Json pod = PodJson("a", "ua", 1, 1'000, 10);  // the API does not know it
  EXPECT_THAT(PlaceAndBind(pod), HasSubstr("NotFound"));
  EXPECT_EQ(NodeAnnotations()["cambricon.com/dsmlu.lock"], lock);
  EXPECT_FALSE(NodeAnnotations().contains("hami.io/mutex.lock"));
}

TEST_F(OtherVendorsLocksTest, NeuronHasNone) {
  EXPECT_EQ(PlaceAndBind(MakePod("a", {{"aws.amazon.com/neuron", "1"}})), "");
  EXPECT_THAT(api_.Writes(), ElementsAre("PATCH /api/v1/namespaces/default/pods/a",
                                         "POST /api/v1/namespaces/default/pods/a/binding"));
}

TEST_F(ExtenderTest, AMalformedLockIsForAPersonToLookAt) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Json node = NodeJson("n1", false, 1, 10'000);
  node["metadata"]["annotations"]["hami.io/mutex.lock"] = "a,b";
  api_.Put("/api/v1/nodes/n1", node);
  Filter(pod, {"n1"});
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(),
              HasSubstr("malformed lock annotation: expected 3 parts, got 2"));
}

TEST_F(ExtenderTest, AnotherWriterOfTheNodeIsNoContention) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  std::atomic<int> conflicts = 2;
  api_.SetHook([&](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (request.method != "PATCH" || request.target != "/api/v1/nodes/n1") return false;
    if (conflicts-- <= 0) return false;
    connection.Respond(409, R"({"kind":"Status","reason":"Conflict","code":409})");
    return true;
  });
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
}

TEST_F(ExtenderTest, APodGroupWaitsForTheLockForAWhile) {
  PutNode("n1", 1, 10'000, false);
  Json pod = PodJson("a", "ua", 1, 3'000, 10);
  pod["metadata"]["labels"] = {{"scheduling.x-k8s.io/pod-group", "g"}};
  PutPod(pod);
  PutPod(PodJson("b", "ub", 1, 1, 1));
  Json node = NodeJson("n1", false, 1, 10'000);
  node["metadata"]["annotations"]["hami.io/mutex.lock"] = "2099-01-01T00:00:00Z,default,b";
  api_.Put("/api/v1/nodes/n1", node);
  Filter(pod, {"n1"});
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"],
            "timed out after 400ms waiting for node n1 to be unlocked: node lock contention");
  std::atomic<int> asked = 0;
  api_.SetHook([&](const net::FakeRequest& request, net::FakeConnection&) {
    if (request.method == "GET" && request.target == "/api/v1/nodes/n1" && ++asked == 2) {
      api_.Put("/api/v1/nodes/n1", NodeJson("n1", false, 1, 10'000));
    }
    return false;
  });
  Filter(pod, {"n1"});
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
}

TEST_F(ExtenderTest, ABindThatFailsByHamisProtocolIsTakenBack) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  api_.SetHook([](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/binding")) return false;
    connection.Respond(403, R"({"kind":"Status","message":"no","reason":"Forbidden","code":403})");
    return true;
  });
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("no"));
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_FALSE(
      api_.Get("/api/v1/nodes/n1")["metadata"]["annotations"].contains("hami.io/mutex.lock"));
  EXPECT_THAT(Pod("a")["metadata"].value("annotations", Json::object()), IsEmpty());
  EXPECT_THAT(Pod("a")["metadata"].value("labels", Json::object()), IsEmpty());
}

TEST_F(ExtenderTest, ADecisionIsTakenBackOnlyFromAPodThatNobodyBound) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  // Another leader was faster, and wrote its decision on the pod.
  api_.SetHook([this](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/binding")) return false;
    Json bound = Pod("a");
    bound["spec"]["nodeName"] = "n2";
    bound["metadata"]["annotations"] = {{domain::kVgpuNode, "n2"},
                                        {domain::kAllocation, "v1,0000000000000000"}};
    PutPod(bound);
    connection.Respond(409, R"({"kind":"Status","reason":"Conflict","code":409})");
    return true;
  });
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("already"));
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["hami.io/vgpu-node"], "n2");
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["hami.io/allocation"], "v1,0000000000000000");
  EXPECT_FALSE(
      api_.Get("/api/v1/nodes/n1")["metadata"]["annotations"].contains("hami.io/mutex.lock"));
}

TEST_F(ExtenderTest, APodThatIsOnANodeIsNotPatchedAnyMore) {
  PutNode("n1", 1, 10'000, false);
  Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  pod["spec"]["nodeName"] = "n2";
  PutPod(pod);
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("already"));
  EXPECT_THAT(api_.Writes(),
              ElementsAre("PATCH /api/v1/nodes/n1", "PATCH /api/v1/nodes/n1"));  // lock, unlock
  EXPECT_FALSE(Pod("a")["metadata"].contains("annotations"));
}

TEST_F(ExtenderTest, AnotherWriterOfThePodIsNoObstacle) {
  PutNode("n1", 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Filter(pod, {"n1"});
  std::atomic<int> conflicts = 2;
  api_.SetHook([&](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (request.method != "PATCH" || !request.target.ends_with("/pods/a")) return false;
    if (conflicts-- <= 0) return false;
    connection.Respond(409, R"({"kind":"Status","reason":"Conflict","code":409})");
    return true;
  });
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
}

TEST_F(ExtenderTest, ALongNodeNameIsNoLabel) {
  const std::string name = "n" + std::string(69, 'x');
  PutNode(name, 1, 10'000, false);
  const Json pod = PodJson("a", "ua", 1, 3'000, 10);
  PutPod(pod);
  Filter(pod, {name});
  EXPECT_EQ(Bind("a", "ua", name)["Error"], "");
  EXPECT_FALSE(Pod("a")["metadata"].contains("labels"));
  EXPECT_EQ(Pod("a")["metadata"]["annotations"]["hami.io/vgpu-node"], name);
}

// --- Simulation ---

TEST_F(ExtenderTest, ASimulationKnowsOnlyTheNodesItIsGiven) {
  PutNode("n1", 1, 10'000);
  Filter(PodJson("a", "ua", 1, 10'000, 10), {"n1"});  // n1 is full
  const Json body = {{"Pod", PodJson("b", "ub", 1, 6'000, 10)},
                     {"Nodes",
                      {{"items",
                        {NodeJson("n1", true, 1, 10'000), NodeJson("new", true, 1, 10'000),
                         NodeJson("small", true, 1, 1'000), NodeJson("cpu", true, 0, 0)}}}}};
  const Json answer = Json::parse(extender_.DryRun(body.dump()));
  ASSERT_THAT(answer["Nodes"]["items"], SizeIs(2));
  EXPECT_EQ(answer["FailedNodes"]["small"], "1/1 CardInsufficientMemory");
  EXPECT_EQ(answer["FailedNodes"]["cpu"], "node unregistered");
  EXPECT_EQ(state_.Figures().waiting, 0);
  EXPECT_FALSE(state_.FindReservation("ub"));
  EXPECT_THAT(Events(), ElementsAre("FilteringSucceed"));  // that of the filter
  leader_.left_ms = 0;
  EXPECT_EQ(Json::parse(extender_.DryRun(body.dump()))["Error"], "");
  // The same body as a filter is none: what tells them apart is the path, not the body.
  leader_.left_ms = 60'000;
  const Json filtered = Json::parse(extender_.Filter(body.dump()));
  EXPECT_THAT(filtered["Nodes"]["items"], SizeIs(0));
  EXPECT_EQ(filtered["FailedNodes"]["new"], "node unregistered");
}

TEST_F(ExtenderTest, ASimulationNeedsNodes) {
  const Json body = {{"Pod", PodJson("b", "ub", 1, 6'000, 10)}, {"NodeNames", {"n1"}}};
  EXPECT_THAT(Json::parse(extender_.DryRun(body.dump()))["Error"].get<std::string>(),
              HasSubstr("needs Nodes"));
}

class NodesMeanDryRunTest : public ExtenderTest {
 protected:
  NodesMeanDryRunTest() : ExtenderTest({.nodes_mean_dry_run = true}) {}
};

TEST_F(NodesMeanDryRunTest, AFilterOfWholeNodesAnswersTheBestAndReservesNothing) {
  const Json body = {
      {"Pod", PodJson("b", "ub", 1, 6'000, 10)},
      {"Nodes", {{"items", {NodeJson("x", true, 1, 10'000), NodeJson("y", true, 1, 10'000)}}}}};
  const Json answer = Json::parse(extender_.Filter(body.dump()));
  EXPECT_THAT(answer["Nodes"]["items"], SizeIs(1));
  EXPECT_FALSE(state_.FindReservation("ub"));
  EXPECT_THAT(Events(), IsEmpty());
  // Names are a real filter all the same.
  PutNode("n1", 1, 10'000);
  EXPECT_EQ(Filter(PodJson("a", "ua", 1, 6'000, 10), {"n1"})["NodeNames"], Json({"n1"}));
  EXPECT_TRUE(state_.FindReservation("ua"));
}

// --- Node choice by kube-scheduler ---

class SchedulerChoiceTest : public ExtenderTest {
 protected:
  SchedulerChoiceTest() : ExtenderTest({.node_choice = NodeChoice::kScheduler}) {}
};

TEST_F(SchedulerChoiceTest, AFilterAnswersAllThatFitAndReservesNothing) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  PutNode("small", 1, 1'000);
  const Json answer = Filter(PodJson("a", "ua", 1, 6'000, 10), {"n1", "n2", "small"});
  EXPECT_THAT(answer["NodeNames"], ::testing::UnorderedElementsAre("n1", "n2"));
  EXPECT_EQ(answer["FailedNodes"]["small"], "1/1 CardInsufficientMemory");
  EXPECT_EQ(MemoryUsed("n1") + MemoryUsed("n2"), 0);
}

TEST_F(SchedulerChoiceTest, TheFullerNodeGetsTheHigherPriority) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  PutPod(PodJson("a", "ua", 1, 3'000, 10));
  ASSERT_EQ(Bind("a", "ua", "n2")["Error"], "");
  const Json body = {{"Pod", PodJson("b", "ub", 1, 3'000, 10)}, {"NodeNames", {"n1", "n2", "x"}}};
  EXPECT_EQ(Json::parse(extender_.Prioritize(body.dump())), Json({{{"Host", "n1"}, {"Score", 0}},
                                                                  {{"Host", "n2"}, {"Score", 10}},
                                                                  {{"Host", "x"}, {"Score", 0}}}));
}

TEST_F(SchedulerChoiceTest, NonsenseGetsNoPriorities) {
  EXPECT_EQ(extender_.Prioritize("nonsense"), "[]");
}

}  // namespace
}  // namespace hami::extender
