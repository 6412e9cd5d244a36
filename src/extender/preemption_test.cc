// SPDX-License-Identifier: Apache-2.0
//
// What kube-scheduler's own preemption may do: answers to its preempt verb.

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "extender/fake_extender.h"

namespace hami::extender {
namespace {

Json Victims(const std::vector<std::string>& uids, int violations = 0) {
  Json pods = Json::array();
  for (const std::string& uid : uids) pods.push_back({{"UID", uid}});
  return {{"Pods", pods}, {"NumPDBViolations", violations}};
}

class PreemptionTest : public ExtenderTest {
 protected:
  explicit PreemptionTest(ExtenderOptions options = {.preempt_patience_ms = 0})
      : ExtenderTest(options) {}
  const Json pod_ = PodJson("high", "uh", 1, 6'000, 10);
};

TEST_F(PreemptionTest, NobodyLeavesANodeWhoseDevicesStayFull) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  PutHolder("holder", "u1", "n1", 8'000);
  PutHolder("other", "u2", "n2", 8'000);
  // On n1 one leaves that holds no device, on n2 the one that does; "cpu" has no devices at all.
  const Json answer = Preempt(
      pod_, {{"n1", Victims({"plain"})}, {"n2", Victims({"u2"}, 1)}, {"cpu", Victims({"x"})}});
  EXPECT_EQ(answer, Json({{"n2", Victims({"u2"}, 1)}}));
}

TEST_F(PreemptionTest, WhereDevicesAreFreeCpuMayBeMade) {
  PutNode("n1", 1, 10'000);
  PutHolder("holder", "u1", "n1", 3'000);
  const Json victims = {{"n1", Victims({"plain"})}};
  EXPECT_EQ(Preempt(pod_, victims), victims);
  // What a look changes is nothing.
  EXPECT_EQ(MemoryUsed(), 3'000);
  EXPECT_FALSE(state_.FindReservation("uh"));
}

TEST_F(PreemptionTest, PodsWithoutDevicesAreNoneOfOurBusiness) {
  const Json victims = {{"n1", Victims({"a", "b"})}};
  EXPECT_EQ(Preempt(PodJson("cpu", "uc", 0, 0, 0), victims), victims);
}

TEST_F(PreemptionTest, WhoHasRoomReservedNeedsNoMoreVictims) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  Filter(pod_, {"n1"});
  EXPECT_EQ(Preempt(pod_, {{"n2", Victims({"plain"})}}), Json::object());
}

TEST_F(PreemptionTest, AFollowerLetsNobodyBeEvicted) {
  PutNode("n1", 1, 10'000);
  leader_.left_ms = 0;
  EXPECT_EQ(Preempt(pod_, {{"n1", Victims({"plain"})}}), Json::object());
}

TEST_F(PreemptionTest, NonsenseEvictsNobody) {
  PutNode("n1", 1, 10'000);
  for (const char* body : {"", "nonsense", "[]", "{}", R"({"Pod":{"spec":{}}})"}) {
    EXPECT_EQ(extender_.Preempt(body), R"({"NodeNameToMetaVictims":{}})") << body;
  }
}

TEST_F(PreemptionTest, WholePodsAreReadLikeUids) {
  PutNode("n1", 1, 10'000);
  PutHolder("holder", "u1", "n1", 8'000);
  const Json body = {
      {"Pod", pod_},
      {"NodeNameToVictims", {{"n1", {{"Pods", {{{"metadata", {{"uid", "u1"}}}}}}}}}}};
  EXPECT_EQ(Json::parse(extender_.Preempt(body.dump()))["NodeNameToMetaVictims"],
            Json({{"n1", Victims({"u1"})}}));
}

class PatientPreemptionTest : public PreemptionTest {
 protected:
  PatientPreemptionTest() : PreemptionTest({.preempt_patience_ms = 20'000}) {}
};

// It lacks CPU, and kube-scheduler has heard of a card that came free before we have.
TEST_F(PatientPreemptionTest, ADeletionOnItsWayIsAwaited) {
  PutNode("n1", 1, 10'000);
  PutNode("n2", 1, 10'000);
  PutHolder("holder", "u1", "n1", 8'000);
  PutHolder("elsewhere", "u3", "n2", 8'000);
  std::thread watch([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    // Room of no use does not end the patience.
    state_.pods().OnDelete({"default", "elsewhere"}, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    state_.pods().OnDelete({"default", "holder"}, 0);
  });
  const Json victims = {{"n1", Victims({"plain"})}};
  EXPECT_EQ(Preempt(pod_, victims), victims);
  watch.join();
}

// Each for a deletion of its own.
TEST_F(PatientPreemptionTest, SeveralPodsInARowAreWaitedFor) {
  PutNode("n1", 1, 10'000);
  const Json victims = {{"n1", Victims({"plain"})}};
  for (const char* uid : {"u1", "u2", "u3"}) {
    PutHolder("holder", uid, "n1", 8'000);
    std::thread watch([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      state_.pods().OnDelete({"default", "holder"}, 0);
    });
    EXPECT_EQ(Preempt(pod_, victims), victims) << uid;
    watch.join();
  }
}

TEST_F(PatientPreemptionTest, WhoLosesTheLeadMeanwhileLetsNobodyBeEvicted) {
  PutNode("n1", 1, 10'000);
  PutHolder("holder", "u1", "n1", 8'000);
  std::thread watch([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    leader_.left_ms = 0;
    state_.pods().OnDelete({"default", "holder"}, 0);
  });
  EXPECT_EQ(Preempt(pod_, {{"n1", Victims({"plain"})}}), Json::object());
  watch.join();
}

}  // namespace
}  // namespace hami::extender
