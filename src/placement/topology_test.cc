// SPDX-License-Identifier: Apache-2.0

#include "placement/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace hami::placement {
namespace {

using ::testing::ElementsAre;

// Every set of `count` of them; of equal sums the first in the order of the places.
std::vector<uint16_t> BruteForce(const PairScores& scores, size_t count) {
  std::vector<uint16_t> best;
  int64_t best_sum = 0;
  for (uint32_t bits = 0; bits < (1U << scores.size()); ++bits) {
    std::vector<uint16_t> set;
    for (uint16_t i = 0; i < scores.size(); ++i) {
      if ((bits >> i & 1U) != 0) set.push_back(i);
    }
    if (set.size() != count) continue;
    const int64_t sum = scores.SumOf(set);
    if (best.empty() || sum > best_sum || (sum == best_sum && set < best)) {
      best = set;
      best_sum = sum;
    }
  }
  return best;
}

TEST(TopologyTest, AllOfAsManyAsThereAre) {
  EXPECT_THAT(BestConnected(PairScores(3), 3), ElementsAre(0, 1, 2));
  EXPECT_TRUE(BestConnected(PairScores(3), 0).empty());
}

TEST(TopologyTest, ASingleOneIsTheLeastConnected) {
  PairScores scores(4);
  scores.Set(0, 1, 200);
  scores.Set(1, 2, 100);
  scores.Set(0, 2, 100);
  scores.Set(0, 3, 10);
  scores.Set(1, 3, 10);
  scores.Set(2, 3, 20);
  EXPECT_THAT(BestConnected(scores, 1), ElementsAre(3));
  scores = PairScores(4);
  EXPECT_THAT(BestConnected(scores, 1), ElementsAre(0));  // of equal ones the first
}

TEST(TopologyTest, TwoTakeTheBestPair) {
  PairScores scores(4);
  scores.Set(0, 1, 110);
  scores.Set(2, 3, 110);
  scores.Set(1, 2, 220);
  EXPECT_THAT(BestConnected(scores, 2), ElementsAre(1, 2));
  scores.Set(0, 3, 220);
  EXPECT_THAT(BestConnected(scores, 2), ElementsAre(0, 3));  // the first of equal ones
}

TEST(TopologyTest, IsTheBestOfAllSets) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const size_t size = 2 + random() % 9;
    PairScores scores(size);
    const uint32_t kinds = 1 + random() % 12;
    for (size_t a = 0; a < size; ++a) {
      for (size_t b = a + 1; b < size; ++b) {
        scores.Set(a, b, static_cast<int32_t>(10 * (random() % kinds)));
      }
    }
    for (size_t count = 2; count < size; ++count) {
      EXPECT_EQ(BestConnected(scores, count), BruteForce(scores, count))
          << "round " << round << ", " << count << " of " << size;
    }
  }
}

// Sixteen of thirty-two, where brute force would try 601 million sets: two switches of sixteen, and
// scores that leave no doubt.
TEST(TopologyTest, LargeNodesStayWithinTheBound) {
  PairScores scores(32);
  for (size_t a = 0; a < 32; ++a) {
    for (size_t b = a + 1; b < 32; ++b) scores.Set(a, b, a % 2 == b % 2 ? 150 : 20);
  }
  const std::vector<uint16_t> chosen = BestConnected(scores, 16);
  std::set<int> sides;
  for (const uint16_t one : chosen) sides.insert(one % 2);
  EXPECT_EQ(sides.size(), 1U);
  EXPECT_EQ(chosen.size(), 16U);
}

// Random scores on a large node: not worse than any single exchange away.
TEST(TopologyTest, NoExchangeIsBetter) {
  std::mt19937 random(3);
  PairScores scores(28);
  for (size_t a = 0; a < 28; ++a) {
    for (size_t b = a + 1; b < 28; ++b) scores.Set(a, b, static_cast<int32_t>(random() % 1000));
  }
  const std::vector<uint16_t> chosen = BestConnected(scores, 14);
  const int64_t sum = scores.SumOf(chosen);
  for (size_t out = 0; out < chosen.size(); ++out) {
    for (uint16_t in = 0; in < 28; ++in) {
      if (std::find(chosen.begin(), chosen.end(), in) != chosen.end()) continue;
      std::vector<uint16_t> other = chosen;
      other[out] = in;
      EXPECT_LE(scores.SumOf(other), sum);
    }
  }
}

TEST(TopologyTest, ScoresOfPairsMayStandOnOneSide) {
  vendor::Device a;
  a.id = "GPU-a";
  a.pair_scores = {{"GPU-b", 200}, {"GPU-gone", 900}};
  vendor::Device b;
  b.id = "GPU-b";
  vendor::Device c;
  c.id = "GPU-c";
  c.pair_scores = {{"GPU-b", 10}};
  const std::vector<const vendor::Device*> devices = {&a, &b, &c};
  const PairScores scores = PairScoresOf(devices);
  EXPECT_EQ(scores.At(0, 1), 200);
  EXPECT_EQ(scores.At(1, 0), 200);
  EXPECT_EQ(scores.At(1, 2), 10);
  EXPECT_EQ(scores.At(0, 2), 0);
}

}  // namespace
}  // namespace hami::placement
