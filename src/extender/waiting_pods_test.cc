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
  std::vector<std::string> Wakeable(int64_t now_ns = 2, size_t limit = 10) {
    std::vector<std::string> uids;
    for (const WaitingPod& pod : waiting_.TakeWakeable(limit, now_ns, reservations_, {}, &cluster_)) {
      uids.push_back(pod.uid);
    }
    EXPECT_EQ(cluster_.pod_count(), 0U) << "the cluster is as before";
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
