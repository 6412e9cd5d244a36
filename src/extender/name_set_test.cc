// SPDX-License-Identifier: Apache-2.0

#include "extender/name_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace hami::extender {
namespace {

TEST(NameSetTest, KnowsWhatCameBefore) {
  NameSet set;
  set.Begin(4);
  EXPECT_TRUE(set.Insert("a"));
  EXPECT_TRUE(set.Insert("b"));
  EXPECT_FALSE(set.Insert("a"));
  EXPECT_TRUE(set.Insert(""));
  EXPECT_FALSE(set.Insert(""));
  set.Begin(1);
  EXPECT_TRUE(set.Insert("a")) << "a new call";
}

TEST(NameSetTest, LengthsAndZerosAreTold) {
  NameSet set;
  set.Begin(8);
  for (const std::string& name : {std::string("x"), std::string("x\0", 2), std::string("x\0\0", 3),
                                  std::string(8, 'x'), std::string(9, 'x')}) {
    EXPECT_TRUE(set.Insert(name)) << name.size();
  }
}

TEST(NameSetTest, IsASetOfWhatItWasGiven) {
  std::mt19937 random(7);
  NameSet set;
  for (const size_t count : {0, 1, 3, 1000, 10, 20'000}) {
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) {
      names.push_back("node-" + std::to_string(random() % (count * 2)));
    }
    set.Begin(count);
    std::set<std::string> expected;
    for (const std::string& name : names) {
      EXPECT_EQ(set.Insert(name), expected.insert(name).second) << name;
    }
  }
}

}  // namespace
}  // namespace hami::extender
