// SPDX-License-Identifier: Apache-2.0

#include "extender/repeated_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hami::extender {
namespace {

using ::testing::ElementsAre;

std::vector<std::string_view> Dropped(std::vector<std::string_view> names) {
  DropRepeated(&names);
  return names;
}

TEST(RepeatedNamesTest, TheFirstOfThoseThatAreTheSameStays) {
  EXPECT_TRUE(Dropped({}).empty());
  EXPECT_THAT(Dropped({"a", "b", "a", "", "c", "", "b"}), ElementsAre("a", "b", "", "c"));
}

TEST(RepeatedNamesTest, NamesThatDifferAnywhereAreOthers) {
  std::vector<std::string> texts = {"", std::string(1, '\0'), std::string(2, '\0')};
  for (const size_t size : {1, 7, 8, 9, 15, 16, 17, 24, 25, 63, 253}) {
    texts.emplace_back(size, 'x');
    for (size_t at = 0; at < size; ++at) {
      texts.emplace_back(size, 'x');
      texts.back()[at] = 'y';
    }
  }
  const std::vector<std::string_view> names(texts.begin(), texts.end());
  EXPECT_EQ(Dropped(names), names);
}

TEST(RepeatedNamesTest, DoesAsASetDoes) {
  std::mt19937 random(7);
  for (const size_t count : {1, 3, 1000, 10, 100'000, 5}) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < count; ++i) {
      texts.push_back("node-" + std::to_string(random() % (count * 2)));
    }
    std::set<std::string_view> seen;
    std::vector<std::string_view> expected;
    for (const std::string& text : texts) {
      if (seen.insert(text).second) expected.push_back(text);
    }
    EXPECT_EQ(Dropped({texts.begin(), texts.end()}), expected) << count;
  }
}

}  // namespace
}  // namespace hami::extender
