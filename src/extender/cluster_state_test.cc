// SPDX-License-Identifier: Apache-2.0

#include "extender/cluster_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/fake_clock.h"
#include "domain/names.h"
#include "extender/fake_api.h"
#include "extender/reconcile.h"
#include "placement/request.h"

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Json = FakeApi::Json;

constexpr int64_t kSecond = 1'000'000'000;

class ClusterStateTest : public ::testing::Test {
 protected:
  std::shared_ptr<const PodEntry> Entry(const Json& pod) const {
    json::Document document;
    EXPECT_TRUE(document.Parse(pod.dump()));
    auto entry = ReadPodEntry(registry_, document.root());
    EXPECT_TRUE(entry) << (entry ? "" : entry.error().message);
    return std::make_shared<const PodEntry>(std::move(*entry));
  }
  PodPointer Record(const Json& pod) const {
    return std::make_shared<const PodRecord>(*Entry(pod));
  }
  placement::Request Request(const Json& pod) const {
    json::Document document;
    EXPECT_TRUE(document.Parse(pod.dump()));
    const auto read = domain::ReadPod(document.root());
    EXPECT_TRUE(read);
    auto request = placement::MakeRequest(registry_, *read, {});
    EXPECT_TRUE(request) << (request ? "" : request.error().message);
    return *request;
  }
  void PutNode(const std::string& name, int gpus, int memory_mib, bool takes_binding = true) {
    PutNode(NodeJson(name, takes_binding, gpus, memory_mib));
  }
  void PutNode(const Json& node) {
    json::Document document;
    EXPECT_TRUE(document.Parse(node.dump()));
    auto entry = ReadNodeEntry(registry_, document.root());
    ASSERT_TRUE(entry);
    state_.nodes().OnUpsert(std::make_shared<const NodeEntry>(std::move(*entry)));
  }
  ClusterState::Placed Reserve(const Json& pod, std::vector<std::string_view> nodes = {"n1"}) {
    return state_.Reserve(Request(pod), *Entry(pod), nodes);
  }
  // Refused everywhere, and what it needs of a node noted, as by a filter.
  void Wait(const Json& pod) {
    EXPECT_FALSE(Fits(pod));
    json::Document document;
    EXPECT_TRUE(document.Parse(pod.dump()));
    state_.NoteNeeds(pod["metadata"]["uid"], domain::ReadNodeNeeds(document.root()),
                     pod["spec"].dump());
  }
  std::vector<std::string> Wakeable() {
    std::vector<std::string> uids;
    for (const WaitingPod& pod : state_.TakeWakeable(10)) uids.push_back(pod.uid);
    return uids;
  }
  bool Fits(const Json& pod, std::vector<std::string_view> nodes = {"n1"}) {
    return Reserve(pod, std::move(nodes)).decision.allocation.has_value();
  }
  // As the API shows it once it is bound by `reservation`.
  static Json Bound(Json pod, const Reservation& reservation, const vendor::Registry& registry) {
    json::Document document;
    EXPECT_TRUE(document.Parse(pod.dump()));
    const auto read = domain::ReadPod(document.root());
    for (const auto& [key, value] :
         registry.WriteAllocation(*read, reservation.allocation, {}, 0)) {
      pod["metadata"]["annotations"][key] = value;
    }
    pod["spec"]["nodeName"] = reservation.facts.node;
    return pod;
  }
  int MemoryUsed(const std::string& node = "n1") const {
    int sum = 0;
    state_.Look([&](const placement::Cluster& cluster) {
      for (const placement::DeviceUse& use : cluster.UseOf(node)) sum += use.memory_mib;
    });
    return sum;
  }
  void Upsert(const Json& pod) { state_.pods().OnUpsert(Record(pod)); }
  void Delete(const std::string& name, uint64_t version = 0) {
    state_.pods().OnDelete({"default", name}, version);
  }
  static Json At(Json pod, int version) {
    pod["metadata"]["resourceVersion"] = std::to_string(version);
    return pod;
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
  base::FakeClock clock_;
  ClusterState state_{registry_, clock_, {}};
};

TEST_F(ClusterStateTest, WhatIsReservedIsTakenAtOnce) {
  PutNode("n1", 1, 10'000);
  EXPECT_TRUE(Fits(PodJson("a", "ua", 1, 6'000, 10)));
  EXPECT_EQ(MemoryUsed(), 6'000);
  EXPECT_FALSE(Fits(PodJson("b", "ub", 1, 6'000, 10)));
  EXPECT_TRUE(Fits(PodJson("c", "uc", 1, 4'000, 10)));
}

TEST_F(ClusterStateTest, NoNamesAreNoNodes) {
  PutNode("n1", 1, 10'000);
  EXPECT_FALSE(Fits(PodJson("a", "ua", 1, 1'000, 10), {}));
  std::vector<placement::Misfit> misfits;
  EXPECT_THAT(state_.Fitting(Request(PodJson("a", "ua", 1, 1'000, 10)),
                             *Entry(PodJson("a", "ua", 1, 1'000, 10)), {}, &misfits),
              IsEmpty());
}

TEST_F(ClusterStateTest, APodThatIsFilteredAgainGivesBackWhatItHad) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod, {"n1"}));
  EXPECT_TRUE(Fits(pod, {"n2"}));
  EXPECT_EQ(MemoryUsed("n1"), 0);
  EXPECT_EQ(MemoryUsed("n2"), 6'000);
  // And when it fits nowhere any more, it holds nothing.
  EXPECT_FALSE(Fits(PodJson("a", "ua", 1, 60'000, 10), {"n1", "n2"}));
  EXPECT_EQ(MemoryUsed("n2"), 0);
  EXPECT_THAT(state_.Figures().reservations, IsEmpty());
}

TEST_F(ClusterStateTest, AReservationThatNobodyBindsRunsOut) {
  PutNode("n1", 1, 10'000);
  EXPECT_TRUE(Fits(PodJson("a", "ua", 1, 6'000, 10)));
  EXPECT_FALSE(Fits(PodJson("b", "ub", 1, 6'000, 10)));
  clock_.Advance(29 * kSecond);
  EXPECT_THAT(state_.Expire(), IsEmpty());
  clock_.Advance(2 * kSecond);
  EXPECT_THAT(state_.Expire(), SizeIs(1));
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_EQ(state_.Figures().expired, 1);
  // And who waits for that room is told.
  const auto wakeable = state_.TakeWakeable(10);
  ASSERT_THAT(wakeable, SizeIs(1));
  EXPECT_EQ(wakeable[0].uid, "ub");
}

TEST_F(ClusterStateTest, ABindThatFailedFreesTheRoom) {
  PutNode("n1", 1, 10'000);
  EXPECT_TRUE(Fits(PodJson("a", "ua", 1, 6'000, 10)));
  ASSERT_TRUE(state_.BeginBind("ua", "n1"));
  EXPECT_EQ(state_.BeginBind("ua", "n1").error().code, Code::kAborted);
  state_.EndBind("ua", false);
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_EQ(state_.BeginBind("ua", "n1").error().code, Code::kNotFound);
}

TEST_F(ClusterStateTest, ABindElsewhereThanReservedFindsNoReservation) {
  PutNode("n1", 1, 10'000);
  EXPECT_TRUE(Fits(PodJson("a", "ua", 1, 6'000, 10)));
  EXPECT_EQ(state_.BeginBind("ua", "n2").error().code, Code::kNotFound);
}

TEST_F(ClusterStateTest, TheEchoOfABindTakesTheReservationsPlace) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Upsert(pod);
  EXPECT_TRUE(Fits(pod));
  const auto reservation = state_.BeginBind("ua", "n1");
  ASSERT_TRUE(reservation);
  // The echo may come before the answer.
  Upsert(Bound(pod, *reservation, registry_));
  EXPECT_THAT(state_.Figures().reservations, IsEmpty());
  EXPECT_EQ(MemoryUsed(), 6'000);
  state_.EndBind("ua", true);
  EXPECT_EQ(MemoryUsed(), 6'000);
  EXPECT_EQ(state_.Figures().overridden, 0);
  Json over = Bound(pod, *reservation, registry_);
  over["status"]["phase"] = "Succeeded";
  Upsert(over);
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, ATerminatingPodHoldsUntilItIsGone) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  Json bound = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  bound["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  Upsert(bound);
  EXPECT_EQ(MemoryUsed(), 6'000);
  Delete("a");
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, APodDeletedBetweenFilterAndBindHoldsNothing) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  Delete("a");  // also where the watch has never shown it
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_EQ(state_.BeginBind("ua", "n1").error().code, Code::kNotFound);
}

TEST_F(ClusterStateTest, ANewPodOfTheSameNameIsAnotherPod) {
  PutNode("n1", 1, 10'000);
  Upsert(PodJson("a", "ua", 1, 6'000, 10));
  EXPECT_TRUE(Fits(PodJson("a", "ua", 1, 6'000, 10)));
  Upsert(PodJson("a", "ub", 1, 6'000, 10));
  EXPECT_EQ(MemoryUsed(), 0);
  EXPECT_EQ(state_.BeginBind("ua", "n1").error().code, Code::kNotFound);
}

TEST_F(ClusterStateTest, ABindWithoutAnswerKeepsItsRoomBesideTheNextChoice) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Upsert(pod);
  EXPECT_TRUE(Fits(pod));
  ASSERT_TRUE(state_.BeginBind("ua", "n1"));
  state_.EndBindUncertain("ua");
  EXPECT_EQ(MemoryUsed("n1"), 6'000);
  // The write may still arrive, so nobody else may have the room, and the pod itself neither.
  EXPECT_TRUE(Fits(pod, {"n1", "n2"}));
  EXPECT_EQ(MemoryUsed("n2"), 6'000);
  EXPECT_THAT(state_.Overdue(), IsEmpty());
  clock_.Advance(11 * kSecond);
  const auto overdue = state_.Overdue();
  ASSERT_THAT(overdue, SizeIs(1));
  EXPECT_EQ(overdue[0].uid, "ua");
  // It was asked after, and is on no node.
  state_.Settle("ua", Record(pod));
  EXPECT_EQ(MemoryUsed("n1"), 0);
  EXPECT_EQ(MemoryUsed("n2"), 6'000);
  EXPECT_THAT(state_.Overdue(), IsEmpty());
}

// It was asked after, went, and the watch had to list anew before the answer came.
TEST_F(ClusterStateTest, AnAnswerAboutAPodThatWentMeanwhileDoesNotBringItBack) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Reserve(pod);
  const Json bound = At(Bound(pod, *state_.BeginBind("ua", "n1"), registry_), 20);
  state_.EndBind("ua", true);
  clock_.Advance(31 * kSecond);
  ASSERT_THAT(state_.Overdue(), SizeIs(1));
  state_.pods().OnReplace({}, 30);
  state_.Settle("ua", Record(bound));
  // Whether it really went is asked once more; until then its room stays held.
  EXPECT_EQ(MemoryUsed(), 6'000);
  ASSERT_THAT(state_.Overdue(), SizeIs(1));
  state_.Settle("ua", nullptr);
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, APodThatIsFilteredAgainAfterItsBindKeepsBothRooms) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Upsert(pod);
  EXPECT_TRUE(Fits(pod, {"n1"}));
  ASSERT_TRUE(state_.BeginBind("ua", "n1"));
  // The watch says nothing yet, and a kube-scheduler that does not know better asks again.
  EXPECT_TRUE(Fits(pod, {"n2"}));
  EXPECT_EQ(MemoryUsed("n1"), 6'000);
  EXPECT_EQ(MemoryUsed("n2"), 6'000);
  state_.EndBind("ua", true);
  EXPECT_EQ(MemoryUsed("n1"), 6'000);
}

TEST_F(ClusterStateTest, ALateBindThatLandedIsWhereTheApiSays) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Upsert(pod);
  EXPECT_TRUE(Fits(pod));
  const auto reservation = state_.BeginBind("ua", "n1");
  state_.EndBindUncertain("ua");
  EXPECT_TRUE(Fits(pod, {"n2"}));
  Upsert(Bound(pod, *reservation, registry_));
  EXPECT_EQ(MemoryUsed("n1"), 6'000);
  EXPECT_EQ(MemoryUsed("n2"), 0);
  EXPECT_THAT(state_.Figures().reservations, IsEmpty());
  EXPECT_EQ(state_.Figures().overridden, 1);
}

TEST_F(ClusterStateTest, ABoundPodThatNobodySawIsAskedAfterAndNeverDropped) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  ASSERT_TRUE(state_.BeginBind("ua", "n1"));
  state_.EndBind("ua", true);
  clock_.Advance(3600 * kSecond);
  EXPECT_THAT(state_.Expire(), IsEmpty());
  EXPECT_EQ(MemoryUsed(), 6'000);
  EXPECT_THAT(state_.Overdue(), SizeIs(1));
  state_.Settle("ua", nullptr);
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, AnAnswerThatCannotBeReadHoldsUpNoOther) {
  FakeApi api;
  kube::Client client(api.Config(), {.user_agent = "tester"});
  PutNode("n1", 1, 10'000);
  for (const std::string name : {"a", "b"}) {
    EXPECT_TRUE(Fits(PodJson(name, "u" + name, 1, 3'000, 10)));
    ASSERT_TRUE(state_.BeginBind("u" + name, "n1"));
    state_.EndBind("u" + name, true);
  }
  clock_.Advance(60 * kSecond);
  // The one that is asked after first; the other is gone.
  const kube::ObjectKey odd = state_.Overdue().at(0).pod;
  std::string answer;
  api.SetHook([&](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!request.target.ends_with("/pods/" + odd.name)) return false;
    connection.Respond(200, answer);
    return true;
  });
  for (const char* text : {"", "{\"kind\":\"Pod\",\"metadata\":{\"na", "[]", "{}"}) {
    answer = text;
    AskAfter(client, registry_, state_.Overdue(), &state_);
    EXPECT_EQ(MemoryUsed(), 3'000) << text;
  }
  answer = PodJson(odd.name, "another", 1, 3'000, 10).dump();
  AskAfter(client, registry_, state_.Overdue(), &state_);
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, WhatAnotherSchedulerDecidedCountsForAWhile) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  Json annotated = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  annotated["spec"].erase("nodeName");
  annotated["metadata"]["annotations"][std::string(domain::kVgpuTime)] =
      std::to_string(clock_.WallNs() / kSecond);
  state_.Release("ua");
  EXPECT_EQ(MemoryUsed(), 0);
  Upsert(annotated);
  EXPECT_EQ(MemoryUsed(), 6'000);
  clock_.Advance(301 * kSecond);
  state_.Expire();
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, ADecisionOfTheFutureOrWithoutATimeIsForged) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  Json annotated = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  annotated["spec"].erase("nodeName");
  state_.Release("ua");
  for (const char* time : {"999999999", "9223372036854775807", "-5", "soon", ""}) {
    annotated["metadata"]["annotations"][std::string(domain::kVgpuTime)] = time;
    Upsert(annotated);
    EXPECT_EQ(MemoryUsed(), 0) << time;
  }
}

TEST_F(ClusterStateTest, AnAllocationOfAnotherNodeIsNoAllocation) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  Json forged = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  forged["spec"]["nodeName"] = "n2";
  Upsert(forged);
  EXPECT_EQ(state_.Figures().unreadable_pods, 1);
  Delete("a");
  EXPECT_EQ(state_.Figures().unreadable_pods, 0);
}

TEST_F(ClusterStateTest, AListBesideTheWatchAddsWhatTheWatchDidNotSay) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  const Json bound = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  state_.Release("ua");
  Upsert(pod);
  state_.BeginList();
  ASSERT_TRUE(state_.Differs(*Record(bound)));
  EXPECT_EQ(state_.ApplyList({Record(bound)}).drift, 1U);
  EXPECT_EQ(MemoryUsed(), 6'000);
  state_.BeginList();
  EXPECT_FALSE(state_.Differs(*Record(bound)));
  EXPECT_EQ(state_.ApplyList({}).drift, 0U);
}

TEST_F(ClusterStateTest, WhatTheWatchSaysDuringAListIsNewer) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_TRUE(Fits(pod));
  const Json bound = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  state_.EndBind("ua", true);
  state_.BeginList();
  Upsert(bound);
  Delete("a");
  // The list was made before the pod was deleted.
  EXPECT_FALSE(state_.Differs(*Record(bound)));
  EXPECT_EQ(state_.ApplyList({Record(bound)}).drift, 0U);
  EXPECT_EQ(MemoryUsed(), 0);
}

// The watch had to list anew meanwhile, and so never spoke of the pod.
TEST_F(ClusterStateTest, WhatAFullListOfTheWatchSaysDuringAListCountsByItsVersion) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Reserve(pod);
  const Json bound = At(Bound(pod, *state_.BeginBind("ua", "n1"), registry_), 20);
  state_.Release("ua");
  state_.BeginList();
  EXPECT_TRUE(state_.Differs(*Record(bound)));
  state_.pods().OnReplace({}, 30);  // it is gone
  EXPECT_EQ(state_.ApplyList({Record(bound)}).drift, 0U);
  EXPECT_EQ(MemoryUsed(), 0);
  state_.BeginList();
  state_.pods().OnReplace({}, 10);  // it was not bound yet
  EXPECT_EQ(state_.ApplyList({Record(bound)}).behind, 1U);
  EXPECT_EQ(MemoryUsed(), 6'000);
}

TEST_F(ClusterStateTest, AFullListOfTheWatchKeepsReservations) {
  PutNode("n1", 1, 10'000);
  const Json a = PodJson("a", "ua", 1, 2'000, 10);
  const Json b = PodJson("b", "ub", 1, 2'000, 10);
  Upsert(b);
  EXPECT_TRUE(Fits(a));  // the scheduler knows of it before we do
  state_.pods().OnReplace({}, 0);
  EXPECT_EQ(MemoryUsed(), 2'000);
  EXPECT_EQ(state_.FindPod("ub"), nullptr);
}

TEST_F(ClusterStateTest, AnOlderListOfTheWatchTakesNothingFromAYoungerOne) {
  PutNode("n1", 1, 10'000);
  Json old = PodJson("old", "uo", 1, 1'000, 10);
  old["metadata"]["resourceVersion"] = "5";
  Json young = PodJson("young", "uy", 1, 4'000, 10);
  young["metadata"]["resourceVersion"] = "9";
  Upsert(old);
  Upsert(young);
  ASSERT_NE(state_.FindPod("uy"), nullptr);
  state_.pods().OnReplace({}, 8);
  EXPECT_EQ(state_.FindPod("uo"), nullptr);
  EXPECT_NE(state_.FindPod("uy"), nullptr);
  state_.pods().OnReplace({}, 9);
  EXPECT_EQ(state_.FindPod("uy"), nullptr);
}

TEST_F(ClusterStateTest, HighestPriorityWakesFirstAndOnlyAsManyAsFit) {
  PutNode("n1", 1, 10'000);
  EXPECT_TRUE(Fits(PodJson("big", "u0", 1, 10'000, 10)));
  Json low = PodJson("low", "u1", 1, 6'000, 10);
  Json high = PodJson("high", "u2", 1, 6'000, 10);
  high["spec"]["priority"] = 100;
  Json small = PodJson("small", "u3", 1, 4'000, 10);
  EXPECT_FALSE(Fits(low));
  clock_.Advance(kSecond);
  EXPECT_FALSE(Fits(high));
  EXPECT_FALSE(Fits(small));
  EXPECT_THAT(state_.TakeWakeable(10), IsEmpty());
  state_.Release("u0");
  const auto wakeable = state_.TakeWakeable(10);
  ASSERT_THAT(wakeable, SizeIs(2));
  EXPECT_EQ(wakeable[0].uid, "u2");
  EXPECT_EQ(wakeable[1].uid, "u3");
  EXPECT_EQ(MemoryUsed(), 0);
}

TEST_F(ClusterStateTest, WhoWasWokenAndDidNotComeIsWokenAgainLater) {
  PutNode("n1", 1, 10'000);
  EXPECT_TRUE(Fits(PodJson("big", "u0", 1, 10'000, 10)));
  EXPECT_FALSE(Fits(PodJson("a", "u1", 1, 6'000, 10)));
  state_.Release("u0");
  ASSERT_THAT(state_.TakeWakeable(10), SizeIs(1));
  state_.NoteWoken("u1");
  EXPECT_THAT(state_.TakeWakeable(10), IsEmpty());
  clock_.Advance(3 * kSecond);
  ASSERT_THAT(state_.TakeWakeable(10), SizeIs(1));
  state_.NoteWoken("u1");
  clock_.Advance(3 * kSecond);
  EXPECT_THAT(state_.TakeWakeable(10), IsEmpty());
  // Once it was tried, it waits for news again.
  EXPECT_TRUE(Fits(PodJson("big", "u0", 1, 10'000, 10)));
  EXPECT_FALSE(Fits(PodJson("a", "u1", 1, 6'000, 10)));
  clock_.Advance(600 * kSecond);
  EXPECT_THAT(state_.TakeWakeable(10), IsEmpty());
}

TEST_F(ClusterStateTest, ANewNodeWakesWhoWaits) {
  EXPECT_FALSE(Fits(PodJson("a", "u1", 1, 6'000, 10)));
  std::atomic<int> signals = 0;
  state_.OnRoom([&signals] { ++signals; });
  PutNode("n1", 1, 10'000);
  EXPECT_EQ(signals, 1);
  EXPECT_THAT(state_.TakeWakeable(10), SizeIs(1));
  Delete("a");
  state_.OnRoom(nullptr);
}

TEST_F(ClusterStateTest, APodIsNotWokenForANodeThatItCannotUse) {
  // It wants another zone, and is of the highest priority: it must not hide who can use the node.
  Json elsewhere = PodJson("a", "u1", 1, 6'000, 10);
  elsewhere["spec"]["nodeSelector"] = {{"zone", "b"}};
  elsewhere["spec"]["priority"] = 100;
  Wait(elsewhere);
  Wait(PodJson("b", "u2", 1, 6'000, 10));
  Json node = NodeJson("n1", true, 1, 10'000);
  node["metadata"]["labels"] = {{"zone", "a"}};
  PutNode(node);
  EXPECT_THAT(Wakeable(), ElementsAre("u2"));
  node["metadata"]["name"] = "n2";
  node["metadata"]["labels"] = {{"zone", "b"}};
  PutNode(node);
  EXPECT_THAT(Wakeable(), ElementsAre("u1"));
}

TEST_F(ClusterStateTest, APodIsNotWokenForANodeWhoseTaintsItDoesNotTolerate) {
  Json tolerant = PodJson("b", "u2", 1, 6'000, 10);
  tolerant["spec"]["tolerations"] = {{{"key", "train"}, {"operator", "Exists"}}};
  Wait(PodJson("a", "u1", 1, 6'000, 10));
  clock_.Advance(kSecond);
  Wait(tolerant);
  Json node = NodeJson("n1", true, 1, 10'000);
  node["spec"]["taints"] = {{{"key", "train"}, {"effect", "NoSchedule"}}};
  PutNode(node);
  EXPECT_THAT(Wakeable(), ElementsAre("u2"));
  node["spec"]["unschedulable"] = true;
  PutNode(node);
  EXPECT_THAT(Wakeable(), IsEmpty());
  node["spec"] = Json::object();
  PutNode(node);
  EXPECT_THAT(Wakeable(), ElementsAre("u1"));
  state_.nodes().OnDelete({"", "n1"}, 0);
  EXPECT_THAT(Wakeable(), IsEmpty());
}

TEST_F(ClusterStateTest, WhoIsWokenAgainIsLookedForOnUsableNodesAlone) {
  Json picky = PodJson("a", "u1", 1, 6'000, 10);
  picky["spec"]["nodeSelector"] = {{"zone", "b"}};
  Wait(picky);
  Json node = NodeJson("n1", true, 1, 10'000);
  node["metadata"]["labels"] = {{"zone", "b"}};
  PutNode(node);
  ASSERT_THAT(Wakeable(), ElementsAre("u1"));
  state_.NoteWoken("u1");
  clock_.Advance(3 * kSecond);
  EXPECT_THAT(Wakeable(), ElementsAre("u1"));
  state_.NoteWoken("u1");
  node["metadata"]["labels"] = {{"zone", "a"}};
  PutNode(node);
  clock_.Advance(10 * kSecond);
  EXPECT_THAT(Wakeable(), IsEmpty());
}

TEST_F(ClusterStateTest, RoomIsHeldForAPodWhoseVictimsAreLeaving) {
  PutNode("n1", 1, 10'000);
  const Json victim = PodJson("v", "uv", 1, 10'000, 10);
  EXPECT_TRUE(Fits(victim));
  const Json bound = Bound(victim, *state_.BeginBind("uv", "n1"), registry_);
  Upsert(bound);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  EXPECT_FALSE(Fits(pod));
  domain::Allocation allocation = {.node = "n1", .slices = Entry(bound)->facts.slices};
  allocation.slices[0].memory_mib = 6'000;
  state_.Nominate(*Entry(pod), allocation);
  EXPECT_EQ(state_.BeginBind("ua", "n1").error().code, Code::kNotFound);
  EXPECT_TRUE(Reserve(pod).is_nominated);
  Delete("v");
  // Another does not get what was freed for it.
  EXPECT_FALSE(Fits(PodJson("b", "ub", 1, 6'000, 10)));
  EXPECT_TRUE(Fits(pod));
  EXPECT_TRUE(state_.BeginBind("ua", "n1"));
}

TEST_F(ClusterStateTest, EightCallersNeverGetTheSameRoom) {
  for (int i = 0; i < 4; ++i) PutNode("n" + std::to_string(i), 2, 10'000);
  std::vector<std::thread> callers;
  std::atomic<int> placed = 0;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([this, caller, &placed] {
      for (int i = 0; i < 20; ++i) {
        const std::string id = std::to_string(caller) + "-" + std::to_string(i);
        if (Fits(PodJson(id, "u" + id, 1, 3'000, 10), {"n0", "n1", "n2", "n3"})) ++placed;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(placed, 4 * 2 * 3);
  state_.Look(
      [](const placement::Cluster& cluster) { EXPECT_THAT(cluster.Overcommitted(), IsEmpty()); });
}

// A new leader reads all pods while its watch lags; what the watch says then is over.
TEST_F(ClusterStateTest, AWatchThatLagsBehindAListTakesNothingBack) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Reserve(pod);
  const Json bound = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  state_.Release("ua");
  state_.BeginList();
  const auto differences = state_.ApplyList({Record(At(bound, 20))});
  EXPECT_EQ(differences.behind, 1U);
  EXPECT_EQ(differences.drift, 0U);
  Upsert(At(pod, 10));
  EXPECT_EQ(MemoryUsed(), 6'000);
  Delete("a", 9);  // of the one before it
  EXPECT_EQ(MemoryUsed(), 6'000);
  Delete("a", 21);
  EXPECT_EQ(MemoryUsed(), 0);
}

// kube-scheduler's watch may be ahead of ours: it asks for the second pod of a name while we still
// hear of the first.
TEST_F(ClusterStateTest, WhatIsHeardOfThePodBeforeDoesNotEndAReservation) {
  PutNode("n1", 1, 10'000);
  const Json first = PodJson("a", "u1", 1, 1'000, 10);
  Upsert(At(first, 5));
  Reserve(At(PodJson("a", "u2", 1, 6'000, 10), 12));
  Json over = At(first, 8);
  over["status"]["phase"] = "Succeeded";
  Upsert(over);
  Delete("a", 11);
  EXPECT_EQ(MemoryUsed(), 6'000);
  EXPECT_TRUE(state_.BeginBind("u2", "n1"));
}

// As after a restored etcd: what a consistent list says counts, whatever its number.
TEST_F(ClusterStateTest, AListCountsAlsoIfVersionsWentBack) {
  PutNode("n1", 1, 10'000);
  const Json pod = PodJson("a", "ua", 1, 6'000, 10);
  Reserve(pod);
  const Json bound = Bound(pod, *state_.BeginBind("ua", "n1"), registry_);
  Upsert(At(bound, 900));
  EXPECT_EQ(MemoryUsed(), 6'000);
  state_.BeginList();
  EXPECT_EQ(state_.ApplyList({Record(At(pod, 7))}).drift, 1U);
  EXPECT_EQ(MemoryUsed(), 0);
}

}  // namespace
}  // namespace hami::extender
