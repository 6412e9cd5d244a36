// SPDX-License-Identifier: Apache-2.0

#include "preload/table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>
#include <vector>

namespace hami::preload {
namespace {

using Verdict = Table<CountEntry>::Verdict;

TEST(Table, FindsWhatWasInsertedAndNothingElse) {
  static Table<CountEntry> table;
  CountEntry entry = {};
  EXPECT_FALSE(table.Find(7, &entry));
  EXPECT_FALSE(table.Take(7, &entry));
  ASSERT_TRUE(table.Insert({7, 70, 3}));
  ASSERT_TRUE(table.Insert({8, 80, 4}));
  ASSERT_TRUE(table.Find(7, &entry));
  EXPECT_EQ(entry.count, 70U);
  EXPECT_EQ(entry.ordinal, 3U);
  ASSERT_TRUE(table.Insert({7, 71, 3})) << "replaces";
  ASSERT_TRUE(table.Take(7, &entry));
  EXPECT_EQ(entry.count, 71U);
  EXPECT_FALSE(table.Find(7, &entry));
  EXPECT_TRUE(table.Find(8, &entry));
}

TEST(Table, EditChangesKeepsAndRemoves) {
  static Table<CountEntry> table;
  EXPECT_FALSE(table.Edit(5, [](CountEntry&) { return Verdict::kKeep; }));
  for (int i = 0; i < 3; ++i) {
    table.Update(5, [](CountEntry& entry) { ++entry.count; });
  }
  uint64_t left = 0;
  const auto drop = [&](CountEntry& entry) {
    left = --entry.count;
    return left == 0 ? Verdict::kRemove : Verdict::kKeep;
  };
  EXPECT_TRUE(table.Edit(5, drop));
  EXPECT_TRUE(table.Edit(5, drop));
  EXPECT_EQ(left, 1U);
  EXPECT_TRUE(table.Edit(5, drop));
  EXPECT_FALSE(table.Edit(5, drop));
}

// As memory_vmm.cc has them: a page does not hold a power of two of these.
TEST(Table, EntriesOfAnySize) {
  struct Entry {
    uint64_t key;
    uint64_t words[2];
  };
  static Table<Entry> table;
  constexpr uint64_t kCount = 20000;
  for (uint64_t i = 1; i <= kCount; ++i) ASSERT_TRUE(table.Insert({i * 64, {i, 0}}));
  for (uint64_t i = 1; i <= kCount; ++i) {
    Entry entry = {};
    ASSERT_TRUE(table.Find(i * 64, &entry)) << i;
    EXPECT_EQ(entry.words[0], i);
    EXPECT_FALSE(table.Find(i * 64 + 1, &entry));
    if (i % 2 == 0) {
      EXPECT_TRUE(table.Take(i * 64, &entry));
    }
  }
}

// A random history against std::map; addresses are spaced like a driver's, which is what the hash
// has to spread.
TEST(Table, AgreesWithAMapOverARandomHistory) {
  static Table<CountEntry> table;
  std::map<uint64_t, uint64_t> model;
  std::mt19937 random(42);
  for (int step = 0; step < 300000; ++step) {
    const uint64_t key = 0x7f0000000000 + (random() % 20000) * 512;
    CountEntry entry = {};
    if (random() % 2 == 0) {
      ASSERT_TRUE(table.Insert({key, static_cast<uint64_t>(step), 1}));
      model[key] = static_cast<uint64_t>(step);
    } else {
      const auto known = model.find(key);
      ASSERT_EQ(table.Take(key, &entry), known != model.end());
      if (known != model.end()) {
        ASSERT_EQ(entry.count, known->second);
        model.erase(known);
      }
    }
  }
  size_t visited = 0;
  table.VisitAll([&](const CountEntry& entry) {
    ++visited;
    ASSERT_EQ(model.at(entry.key), entry.count);
  });
  EXPECT_EQ(visited, model.size());
}

TEST(Table, ThreadsDoNotLoseEntries) {
  static Table<CountEntry> table;
  std::vector<std::thread> team;
  for (uint64_t t = 1; t <= 4; ++t) {
    team.emplace_back([t] {
      for (uint64_t i = 1; i <= 20000; ++i) table.Insert({t << 32 | i, i, 0});
      CountEntry entry = {};
      for (uint64_t i = 1; i <= 20000; i += 2) EXPECT_TRUE(table.Take(t << 32 | i, &entry));
    });
  }
  for (std::thread& thread : team) thread.join();
  size_t left = 0;
  table.VisitAll([&](const CountEntry&) { ++left; });
  EXPECT_EQ(left, 4U * 10000U);
}

}  // namespace
}  // namespace hami::preload
