// SPDX-License-Identifier: Apache-2.0

#include "extender/waiting_pods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "extender/fake_api.h"
#include "json/value.h"

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

class WaitingPodsTest : public ::testing::Test {
 protected:
  void PutNode(const std::string& name, int memory_mib) {
    json::Document document;
    EXPECT_TRUE(document.Parse(NodeJson(name, true, 1, memory_mib).dump()));
    cluster_.PutNode(ReadNodeEntry(registry_, document.root()).value().facts);
  }
  void Note(const std::string& uid, int memory_mib, int32_t priority = 0, int64_t now_ns = 1) {
    json::Document document;
    EXPECT_TRUE(document.Parse(PodJson(uid, uid, 1, memory_mib, 10).dump()));
    const domain::Pod pod = domain::ReadPod(document.root()).value();
    const placement::Request request = placement::MakeRequest(registry_, pod, {}).value();
    PodEntry entry = ReadPodEntry(registry_, document.root()).value();
    entry.facts.priority = priority;
    waiting_.Note(request, entry, now_ns);
  }
  // On n1's only card.
  static placement::PodFacts Holder(const std::string& uid, int memory_mib) {
    placement::PodFacts facts;
    facts.uid = uid;
    facts.namespace_name = "default";
    facts.name = uid;
    facts.node = "n1";
    facts.kinds = {domain::ContainerKind::kApp};
    domain::Slice& slice = facts.slices.emplace_back();
    slice.vendor = "NVIDIA";
    slice.device = "GPU-n1-0";
    slice.memory_mib = memory_mib;
    slice.cores = 10;
    return facts;
  }
  void Reserve(const std::string& uid, int memory_mib, Hold hold) {
    Reservation reservation;
    reservation.pod = {"default", uid};
    reservation.uid = uid;
    reservation.facts = Holder(uid, memory_mib);
    reservation.hold = hold;
    cluster_.PutPod(reservation.facts);
    reservations_.Put(std::move(reservation));
  }
  std::vector<std::string> Wakeable(int64_t now_ns = 2, size_t limit = 10, size_t held = 0) {
    std::vector<std::string> uids;
    for (const WaitingPod& pod :
         waiting_.TakeWakeable(limit, now_ns, reservations_, {}, &cluster_)) {
      uids.push_back(pod.uid);
    }
    EXPECT_EQ(cluster_.pod_count(), held) << "the cluster is as before";
    return uids;
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
  placement::Cluster cluster_{registry_};
  Reservations reservations_;
  WaitingPods waiting_;
};

TEST_F(WaitingPodsTest, OnlyRoomWakes) {
  PutNode("n1", 10'000);
  Note("u1", 6'000);
  EXPECT_THAT(Wakeable(), IsEmpty());
  waiting_.NoteRoom("n1");
  EXPECT_THAT(Wakeable(), ElementsAre("u1"));
  EXPECT_THAT(Wakeable(), IsEmpty()) << "that room was told";
}

TEST_F(WaitingPodsTest, RoomElsewhereIsNotLookedAt) {
  PutNode("n1", 10'000);
  PutNode("n2", 1'000);
  Note("u1", 6'000);
  waiting_.NoteRoom("n2");
  EXPECT_THAT(Wakeable(), IsEmpty());
  waiting_.NoteRoomEverywhere();
  EXPECT_THAT(Wakeable(), ElementsAre("u1"));
}

TEST_F(WaitingPodsTest, HighestPriorityThenLongestWaitingAndOnlyAsManyAsFit) {
  PutNode("n1", 10'000);
  Note("late", 4'000, 0, 5);
  Note("early", 4'000, 0, 1);
  Note("high", 4'000, 100, 9);
  waiting_.NoteRoom("n1");
  EXPECT_THAT(Wakeable(10), ElementsAre("high", "early"));
}

TEST_F(WaitingPodsTest, RoomThatTheLimitLeftIsKeptForTheNextCall) {
  PutNode("n1", 10'000);
  Note("u1", 1'000, 2);
  Note("u2", 1'000, 1);
  waiting_.NoteRoom("n1");
  EXPECT_THAT(Wakeable(2, 1), ElementsAre("u1"));
  waiting_.Erase("u1");
  EXPECT_THAT(Wakeable(2, 1), ElementsAre("u2"));
}

TEST_F(WaitingPodsTest, WhoHasAReservationDoesNotWait) {
  PutNode("n1", 10'000);
  Note("u1", 6'000);
  Reservation nominated;
  nominated.uid = "u1";
  reservations_.Put(nominated);
  waiting_.NoteRoom("n1");
  EXPECT_THAT(Wakeable(), IsEmpty());
}

TEST_F(WaitingPodsTest, WhoDidNotComeIsWokenAgainAfterTwiceTheTime) {
  PutNode("n1", 10'000);
  Note("u1", 6'000);
  waiting_.NoteWoken("u1", 0);
  EXPECT_THAT(Wakeable(2 * kSecond - 1), IsEmpty());
  EXPECT_THAT(Wakeable(2 * kSecond), ElementsAre("u1"));
  waiting_.NoteWoken("u1", 2 * kSecond);
  EXPECT_THAT(Wakeable(5 * kSecond), IsEmpty());
  EXPECT_THAT(Wakeable(6 * kSecond), ElementsAre("u1"));
  // A refusal begins anew.
  Note("u1", 6'000, 0, 7 * kSecond);
  EXPECT_THAT(Wakeable(600 * kSecond), IsEmpty());
}

// kube-scheduler may have asked between the last victim's end and our hearing of it.
TEST_F(WaitingPodsTest, ANomineeIsWokenOnceItsVictimsAreGone) {
  PutNode("n1", 10'000);
  cluster_.PutPod(Holder("victim", 6'000));
  Note("u1", 6'000, 100);
  Reserve("u1", 6'000, Hold::kNominated);
  waiting_.NoteRoom("n1");
  EXPECT_THAT(Wakeable(2, 10, 2), IsEmpty()) << "the victim is there";
  cluster_.RemovePod("victim");
  // What it is promised is in the way of who asks alike, of a higher priority, too.
  Note("u2", 6'000, 200);
  Note("u3", 4'000);
  waiting_.NoteRoom("n1");
  EXPECT_THAT(Wakeable(3, 10, 1), ElementsAre("u1", "u3")) << "its room counts once";
}

TEST_F(WaitingPodsTest, ANomineeTakesItsOwnRoomBeforeAnother) {
  PutNode("n1", 10'000);
  PutNode("n2", 10'000);
  cluster_.PutPod(Holder("victim", 6'000));
  Note("u1", 6'000, 100);
  Note("u2", 6'000);
  Reserve("u1", 6'000, Hold::kNominated);
  waiting_.NoteRoom("n2");
  EXPECT_THAT(Wakeable(2, 10, 2), ElementsAre("u1")) << "it need not wait for the victim";
  cluster_.RemovePod("victim");
  waiting_.NoteRoom("n1");
  waiting_.NoteRoom("n2");
  EXPECT_THAT(Wakeable(2, 10, 1), ElementsAre("u1", "u2"));
}

TEST_F(WaitingPodsTest, WhoIsAboutToBeBoundIsNotWoken) {
  PutNode("n1", 10'000);
  for (const Hold hold : {Hold::kReserved, Hold::kBinding, Hold::kBound, Hold::kUncertain}) {
    Note("u1", 6'000);
    Reserve("u1", 6'000, hold);
    waiting_.NoteRoom("n1");
    EXPECT_THAT(Wakeable(2, 10, 1), IsEmpty()) << static_cast<int>(hold);
  }
}

TEST_F(WaitingPodsTest, RoomSignalsOnlyWhereSomebodyWaits) {
  int signals = 0;
  waiting_.OnRoom([&signals] { ++signals; });
  waiting_.NoteRoom("n1");
  waiting_.NoteRoomEverywhere();
  EXPECT_EQ(signals, 0);
  Note("u1", 6'000);
  waiting_.NoteRoom("n1");
  waiting_.NoteRoomEverywhere();
  EXPECT_EQ(signals, 2);
}

}  // namespace
}  // namespace hami::extender
