// SPDX-License-Identifier: Apache-2.0

#include "base/stable_sort.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

namespace hami::base {
namespace {

TEST(StableSortTest, EqualKeysKeepTheirOrder) {
  std::vector<std::string> words = {"b2", "a3", "b1", "a1", "c", "a2"};
  StableSortBy(&words, [](const std::string& word) { return word[0]; });
  EXPECT_EQ(words, (std::vector<std::string>{"a3", "a1", "a2", "b2", "b1", "c"}));
}

TEST(StableSortTest, KeysMayReferToTheirItems) {
  std::vector<std::string> words = {"b", "c", "a"};
  StableSortBy(&words, [](const std::string& word) { return std::tie(word); });
  EXPECT_EQ(words, (std::vector<std::string>{"a", "b", "c"}));
  std::vector<std::string> none;
  StableSortBy(&none, &std::string::size);
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace hami::base
