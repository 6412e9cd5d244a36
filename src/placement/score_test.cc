// SPDX-License-Identifier: Apache-2.0

#include "placement/score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "placement/order.h"

namespace hami::placement {
namespace {

// The worked examples of contract 9.
TEST(DeviceScoreTest, CountsWhatIsUsed) {
  EXPECT_DOUBLE_EQ(DeviceScore({10, 8192, 4}, {2, 2048, 1}, {0, 0, 0}, {}), 7.0);
}

TEST(DeviceScoreTest, CountsTheRequestToo) {
  EXPECT_DOUBLE_EQ(DeviceScore({10, 8192, 4}, {2, 2048, 1}, {1, 1024, 1}, {}), 11.75);
  EXPECT_DOUBLE_EQ(DeviceScore({10, 8192, 10}, {0, 0, 0}, {1, 4096, 2}, {}), 8.0);
}

TEST(DeviceScoreTest, WeighsItsParts) {
  const DeviceUse total{10, 100, 100};
  const DeviceUse a{1, 10, 90};
  const DeviceUse b{7, 20, 10};
  const DeviceUse need{1, 40, 0};
  EXPECT_DOUBLE_EQ(DeviceScore(total, a, need, {1, 1, 1}), 16);
  EXPECT_DOUBLE_EQ(DeviceScore(total, b, need, {1, 1, 1}), 15);
  EXPECT_DOUBLE_EQ(DeviceScore(total, a, need, {1, 1, 3}), 26);
  EXPECT_DOUBLE_EQ(DeviceScore(total, b, need, {1, 1, 3}), 27);
  EXPECT_DOUBLE_EQ(DeviceScore(total, a, need, {1, 3, 1}), 34);
  EXPECT_DOUBLE_EQ(DeviceScore(total, b, need, {1, 3, 1}), 17);
}

TEST(DeviceScoreTest, IsNothingWhereATotalIsMissing) {
  EXPECT_EQ(DeviceScore({0, 100, 100}, {0, 50, 50}, {1, 1, 1}, {}), 0);
  EXPECT_EQ(DeviceScore({10, 0, 100}, {1, 0, 50}, {1, 1, 1}, {}), 0);
  EXPECT_EQ(DeviceScore({10, 100, 0}, {1, 50, 0}, {1, 1, 1}, {}), 0);
}

DeviceState Device(DeviceUse total, DeviceUse used) {
  DeviceState device;
  device.total = total;
  device.used = used;
  return device;
}

TEST(NodeScoreTest, SumsItsDevices) {
  const std::vector<DeviceState> devices = {Device({100, 100, 100}, {50, 100, 100}),
                                            Device({150, 200, 200}, {75, 200, 200})};
  EXPECT_DOUBLE_EQ(NodeScoreOf(devices), 25.0);
}

TEST(NodeScoreTest, IsNothingWithoutDevicesOrCapacity) {
  EXPECT_EQ(NodeScoreOf({}), 0);
  const std::vector<DeviceState> devices = {Device({0, 100, 100}, {0, 50, 50})};
  EXPECT_EQ(NodeScoreOf(devices), 0);
}

// --- Order (contract 1.7 and 9: who sorts before is tried later) ---

Policy PolicyOf(std::vector<DeviceKey> keys, bool numa_bind = false) {
  Policy policy;
  policy.device.keys = std::move(keys);
  policy.numa_bind = numa_bind;
  return policy;
}

TEST(DeviceOrderTest, BinpackTriesTheFullestFirst) {
  const DeviceOrder order(PolicyOf({DeviceKey::kBinpack}));
  EXPECT_TRUE(order.SortsBefore({.score = 10}, {.score = 20}));
  EXPECT_FALSE(order.SortsBefore({.score = 20}, {.score = 10}));
  EXPECT_TRUE(order.SortsBefore({.score = 10, .numa = 0}, {.score = 10, .numa = 1}));
}

TEST(DeviceOrderTest, SpreadTriesTheEmptiestFirst) {
  const DeviceOrder order(PolicyOf({DeviceKey::kSpread}));
  EXPECT_TRUE(order.SortsBefore({.score = 20}, {.score = 10}));
  EXPECT_TRUE(order.SortsBefore({.score = 10, .numa = 0}, {.score = 10, .numa = 1}));
}

TEST(DeviceOrderTest, NoKeyIsSpread) {
  const DeviceOrder order(PolicyOf({}));
  EXPECT_TRUE(order.SortsBefore({.score = 20}, {.score = 10}));
}

TEST(DeviceOrderTest, NumaBindGroupsByNuma) {
  const DeviceOrder pack(PolicyOf({DeviceKey::kBinpack}, true));
  EXPECT_TRUE(pack.SortsBefore({.score = 20, .numa = 1}, {.score = 10, .numa = 0}));
  EXPECT_TRUE(pack.SortsBefore({.score = 10, .numa = 1}, {.score = 20, .numa = 1}));
  const DeviceOrder spread(PolicyOf({DeviceKey::kSpread}, true));
  EXPECT_TRUE(spread.SortsBefore({.score = 10, .numa = 0}, {.score = 20, .numa = 1}));
  EXPECT_TRUE(spread.SortsBefore({.score = 20, .numa = 1}, {.score = 10, .numa = 1}));
}

TEST(DeviceOrderTest, ChainsGoKeyByKey) {
  const DeviceOrder order(PolicyOf({DeviceKey::kNuma, DeviceKey::kBinpack}));
  EXPECT_TRUE(order.SortsBefore({.score = 20, .numa = 0}, {.score = 10, .numa = 1}));
  EXPECT_TRUE(order.SortsBefore({.score = 10, .numa = 0}, {.score = 20, .numa = 0}));
  const DeviceOrder other(PolicyOf({DeviceKey::kBinpack, DeviceKey::kNuma}));
  EXPECT_TRUE(other.SortsBefore({.score = 10, .numa = 1}, {.score = 20, .numa = 0}));
}

TEST(DeviceOrderTest, TheLowerIndexSortsBeforeInATie) {
  for (const DeviceKey key : {DeviceKey::kBinpack, DeviceKey::kSpread, DeviceKey::kNuma}) {
    const DeviceOrder order(PolicyOf({key}));
    EXPECT_TRUE(order.SortsBefore({.score = 1, .index = 2}, {.score = 1, .index = 3}));
    EXPECT_FALSE(order.SortsBefore({.score = 1, .index = 3}, {.score = 1, .index = 2}));
  }
}

TEST(DeviceOrderTest, SortPutsTheBestFirst) {
  const DeviceOrder order(PolicyOf({DeviceKey::kBinpack}));
  std::vector<DeviceRank> ranks;
  for (uint16_t i = 0; i < 9; ++i) {
    ranks.push_back({.score = static_cast<double>((i * 5) % 9), .index = i, .device = i});
  }
  order.Sort(&ranks);
  EXPECT_TRUE(std::is_sorted(ranks.begin(), ranks.end(),
                             [](const auto& a, const auto& b) { return a.score > b.score; }));
  EXPECT_EQ(ranks.front().score, 8);
}

}  // namespace
}  // namespace hami::placement
