// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "placement/name_index.h"
#include "placement/name_table.h"

namespace hami::placement {
namespace {

// Names of all lengths, many with the same beginnings, ends and tails of words.
std::string NameOf(uint32_t number) {
  return std::string(number % 23, 'n') + std::to_string(number) + std::string(number % 3, 'z');
}

TEST(NameTableTest, FollowsAMap) {
  std::mt19937 random(5);
  NameTable table;
  std::map<std::string, uint32_t> model;
  for (int i = 0; i < 30000; ++i) {
    const std::string name = NameOf(random() % 700);
    const auto found = model.find(name);
    ASSERT_EQ(table.Find(name), found == model.end() ? NameTable::kNone : found->second) << name;
    if (found == model.end()) {
      const uint32_t number = table.Add(name);
      EXPECT_LT(number, table.limit());
      model[name] = number;
    } else if (random() % 2 == 0) {
      table.Remove(found->second);
      model.erase(found);
    }
  }
  EXPECT_LE(table.limit(), 700U);  // numbers are given out again
  for (const auto& [name, number] : model) {
    EXPECT_EQ(table.At(number), name);
    for (const auto& [other, unused] : model) EXPECT_EQ(table.Is(number, other), name == other);
  }
}

TEST(NameTableTest, EveryByteCounts) {
  NameTable table;
  for (size_t size = 0; size < 40; ++size) {
    const std::string name(size, 'a');
    const uint32_t number = table.Add(name);
    EXPECT_TRUE(table.Is(number, name));
    for (size_t at = 0; at < size; ++at) {
      std::string other = name;
      other[at] = 'b';
      EXPECT_FALSE(table.Is(number, other)) << size << ' ' << at;
    }
    EXPECT_FALSE(table.Is(number, name + "a"));
  }
}

TEST(NameIndexTest, NamesThatCollideAreToldApart) {
  // A tiny table, so that most lookups pass over others.
  std::vector<std::string> names;
  NameIndex index;
  const auto name_of = [&names](uint32_t number) -> std::string_view { return names[number]; };
  for (uint32_t i = 0; i < 7; ++i) {
    names.push_back("pod-" + std::to_string(i));
    index.Insert(names.back(), i);
  }
  index.Erase("pod-3", 3);
  index.Erase("pod-3", 3);  // not there any more
  EXPECT_EQ(index.size(), 6U);
  for (uint32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(index.Find(names[i], name_of), i == 3 ? NameIndex::kNone : i);
  }
}

}  // namespace
}  // namespace hami::placement
