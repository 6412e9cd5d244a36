// SPDX-License-Identifier: Apache-2.0

#include "extender/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::extender {
namespace {

using ::testing::SizeIs;
using ::testing::StartsWith;

// The words are HAMi's: contract hami-control-plane.md 1.13.
TEST(EventsTest, SuccessNamesTheNodeAndItsScore) {
  placement::Decision decision;
  decision.allocation = domain::Allocation{.node = "n1", .slices = {}};
  decision.score = 11.756;
  decision.candidates = 2;
  const kube::EventWords words = FilteringSucceed(decision, 5);
  EXPECT_EQ(words.reason, "FilteringSucceed");
  EXPECT_FALSE(words.is_warning);
  EXPECT_EQ(words.message, "find fit node(n1), 3 nodes not fit, 2 nodes fit(n1:11.76)");
  EXPECT_EQ(BindingSucceed("n1", {"ns", "p"}).message, "Successfully binding node [n1] to ns/p");
  EXPECT_EQ(BindingFailed("why").reason, "BindingFailed");
  EXPECT_TRUE(BindingFailed("why").is_warning);
}

TEST(EventsTest, ASubjectIsAPodOfAUid) {
  const kube::EventSubject subject = SubjectOf({"ns", "p"}, "u1");
  EXPECT_EQ(subject.api_version, "v1");
  EXPECT_EQ(subject.kind, "Pod");
  EXPECT_EQ(subject.key, (kube::ObjectKey{"ns", "p"}));
  EXPECT_EQ(subject.uid, "u1");
}

// What is known in short of nodes may be less than the node that was chosen, or more than was
// asked.
TEST(EventsTest, CountsOfNodesAreNeverLessThanNothing) {
  placement::Decision decision;
  decision.allocation = domain::Allocation{.node = "n1", .slices = {}};
  EXPECT_EQ(FilteringSucceed(decision, 1).message,
            "find fit node(n1), 0 nodes not fit, 1 nodes fit(n1:0.00)");
  decision.candidates = 7;
  EXPECT_EQ(FilteringSucceed(decision, 5).message,
            "find fit node(n1), 0 nodes not fit, 7 nodes fit(n1:0.00)");
}

TEST(EventsTest, TwentyNodesAreNamed) {
  const auto message = [](int nodes) {
    std::vector<placement::Misfit> misfits;
    for (int i = 0; i < nodes; ++i) misfits.push_back({std::to_string(i), "1/1 CardNotHealth"});
    return NothingFits(misfits, nullptr)[0].message;
  };
  EXPECT_EQ(message(20),
            "20 nodes CardNotHealth(0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19)");
  EXPECT_EQ(message(21),
            "21 nodes CardNotHealth(0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,...)");
}

TEST(EventsTest, EachReasonWordIsOneEventThenTheSum) {
  const std::vector<placement::Misfit> misfits = {
      {"n1", "2/8 CardInsufficientMemory, 6/8 CardTypeMismatch"},
      {"n2", "8/8 CardInsufficientMemory"},
      {"n3", "node unregistered"}};
  const placement::NearestMiss nearest = {.node = "n1", .text = "n1: 0 of 1 cards fits"};
  const std::vector<kube::EventWords> events = NothingFits(misfits, &nearest);
  ASSERT_THAT(events, SizeIs(4));
  EXPECT_EQ(events[0].message, "2 nodes CardInsufficientMemory(n1,n2)");
  EXPECT_EQ(events[1].message, "1 nodes CardTypeMismatch(n1)");
  EXPECT_EQ(events[2].message, "1 nodes node unregistered(n3)");
  EXPECT_EQ(events[3].message,
            "no available node, 3 nodes do not meet; nearest: n1: 0 of 1 cards fits");
  for (const kube::EventWords& words : events) {
    EXPECT_EQ(words.reason, "FilteringFailed");
    EXPECT_TRUE(words.is_warning);
  }
}

TEST(EventsTest, AThousandNodesAreNotAllNamed) {
  std::vector<placement::Misfit> misfits;
  for (int i = 0; i < 1000; ++i) {
    misfits.push_back({"node-" + std::to_string(i), "1/1 CardNotHealth"});
  }
  const std::vector<kube::EventWords> events = NothingFits(misfits, nullptr);
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_THAT(events[0].message, StartsWith("1000 nodes CardNotHealth(node-0,node-1,"));
  EXPECT_LT(events[0].message.size(), 400U);
  EXPECT_EQ(events[1].message, "no available node, 1000 nodes do not meet");
}

}  // namespace
}  // namespace hami::extender
